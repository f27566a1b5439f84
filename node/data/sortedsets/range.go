package sortedsets

import (
	"iter"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errRankLimit = resp.Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	errLexScores = resp.Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
)

// selection is a range of elements in one of the two directions, and what part of it
// is wanted.
type selection struct {
	spec          rangeSpec
	reverse       bool
	withScores    bool
	offset, count int64
}

// dialect is what the name of a command of ZRANGE's family says, and so its options
// do not.
type dialect struct {
	kind    rangeKind
	reverse bool
	// open commands have options for both.
	open bool
	// store commands have no WITHSCORES.
	store bool
}

// parseSelection takes the ends of a range and the options of ZRANGE's family.
func parseSelection(args *command.Args, d dialect) (q selection, err error) {
	lowest, highest := args.Next(), args.Next()
	q = selection{reverse: d.reverse, count: -1}
	kind, kindOpen, directionOpen := d.kind, d.open, d.open
	for args.More() {
		switch {
		case !d.store && args.Is("withscores"):
			q.withScores = true
		case args.IsWith("limit", 2):
			if q.offset, err = args.Int(); err != nil {
				return q, err
			}
			if q.count, err = args.Int(); err != nil {
				return q, err
			}
		case directionOpen && args.Is("rev"):
			q.reverse, directionOpen = true, false
		case kindOpen && args.Is("byscore"):
			kind, kindOpen = byScore, false
		case kindOpen && args.Is("bylex"):
			kind, kindOpen = byLex, false
		default:
			return q, command.ErrSyntax
		}
	}
	switch {
	case q.count != -1 && kind == byRank:
		return q, errRankLimit
	case q.withScores && kind == byLex:
		return q, errLexScores
	case q.reverse && kind != byRank:
		lowest, highest = highest, lowest
	}
	q.spec, err = parseRange(kind, lowest, highest)
	return q, err
}

// of returns the positions of the wanted elements: the first one, and the one behind
// the last.
func (q *selection) of(set places) (from, to int64) {
	if q.spec.kind != byRank {
		from, to = q.spec.of(set)
		return limited(from, to, q.offset, q.count, q.reverse)
	}
	from, to = q.spec.of(set)
	if q.reverse { // ranks count from the end
		return set.Len() - to, set.Len() - from
	}
	return from, to
}

func zrange(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{open: true}, r)
}

func zrevrange(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{reverse: true}, r)
}

func zrangebyscore(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{kind: byScore}, r)
}

func zrevrangebyscore(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{kind: byScore, reverse: true}, r)
}

func zrangebylex(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{kind: byLex}, r)
}

func zrevrangebylex(v *command.View, args *command.Args, r *resp.Reply) error {
	return readRange(v, args, dialect{kind: byLex, reverse: true}, r)
}

func readRange(v *command.View, args *command.Args, d dialect, r *resp.Reply) error {
	key := args.Next()
	q, err := parseSelection(args, d)
	if err != nil {
		return err
	}
	set, _, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	from, to := q.of(set)
	writeBetween(r, set, from, to, q.reverse, q.withScores)
	return nil
}

// between yields the elements of a set between two positions, the second of which does
// not belong to them.
func between(set keyspace.SortedSetView, from, to int64, reverse bool) iter.Seq2[[]byte, float64] {
	return func(yield func([]byte, float64) bool) {
		left, start := to-from, from
		if reverse {
			start = to - 1
		}
		if left <= 0 {
			return
		}
		for member, score := range set.From(start, reverse) {
			if left--; !yield(member, score) || left == 0 {
				return
			}
		}
	}
}

// writeBetween writes the elements between two positions as a list.
func writeBetween(r *resp.Reply, set keyspace.SortedSetView, from, to int64, reverse, withScores bool) {
	writeHead(r, int(to-from), withScores)
	for member, score := range between(set, from, to, reverse) {
		if r.Full() {
			break
		}
		writeElement(r, member, score, withScores)
	}
}

// writeHead begins a list of n elements.
func writeHead(r *resp.Reply, n int, withScores bool) {
	if withScores {
		r.Pairs(n)
	} else {
		r.Array(n)
	}
}

func writeElement(r *resp.Reply, member []byte, score float64, withScore bool) {
	if withScore {
		r.Pair()
	}
	r.Bulk(member)
	if withScore {
		r.Double(score)
	}
}

// Element is a member and its score.
type Element struct {
	Member []byte
	Score  float64
}

// zrangestore reads all that it stores before it changes anything: both keys may be
// the same one.
func zrangestore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	to, from := args.Next(), args.Next()
	q, err := parseSelection(args, dialect{open: true, store: true})
	if err != nil {
		return err
	}
	set, _, err := tx.View.SortedSet(from)
	if err != nil {
		return err
	}
	first, end := q.of(set)
	found := make([]Element, 0, end-first)
	for member, score := range between(set, first, end, q.reverse) {
		found = append(found, Element{member, score})
	}
	return Store(tx, to, found, r)
}

// Store makes key a sorted set of these elements, no two of one member, in place of what
// it was, and answers how many there are; of none, there is no key.
func Store(tx *command.Tx, key []byte, elements []Element, r *resp.Reply) error {
	tx.Delete(key)
	set, err := tx.SortedSet(key)
	if err != nil {
		return err
	}
	set.Fill(len(elements), func(i int) ([]byte, float64) { return elements[i].Member, elements[i].Score })
	r.Int(int64(len(elements)))
	return nil
}
