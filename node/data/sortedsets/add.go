package sortedsets

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const errScoreNaN = resp.Error("ERR resulting score is not a number (NaN)")

// addOptions are ZADD's.
type addOptions struct {
	nx, xx, gt, lt, ch, incr bool
}

func (o *addOptions) take(args *command.Args) bool {
	for word, option := range o.words {
		if args.Is(word) {
			*option = true
			return true
		}
	}
	return false
}

// words walks over the options and their names.
func (o *addOptions) words(yield func(word string, option *bool) bool) {
	_ = yield("nx", &o.nx) && yield("xx", &o.xx) && yield("ch", &o.ch) && yield("incr", &o.incr) &&
		yield("gt", &o.gt) && yield("lt", &o.lt)
}

// check returns Redis's error for options that do not go together, before so many
// arguments.
func (o *addOptions) check(left int) error {
	switch {
	case left == 0 || left%2 != 0:
		return command.ErrSyntax
	case o.nx && o.xx:
		return command.Errorf("XX and NX options at the same time are not compatible")
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		return command.Errorf("GT, LT, and/or NX options at the same time are not compatible")
	case o.incr && left > 2:
		return command.Errorf("INCR option supports a single increment-element pair")
	default:
		return nil
	}
}

func zadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return add(tx, args, addOptions{}, r)
}

// zincrby is ZADD with the option INCR, and takes ZADD's options besides, as in
// Redis: they only make its arity a syntax error.
func zincrby(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return add(tx, args, addOptions{incr: true}, r)
}

func add(tx *command.Tx, args *command.Args, o addOptions, r *resp.Reply) error {
	key := args.Next()
	for o.take(args) {
	}
	if err := o.check(args.Len()); err != nil {
		return err
	}
	pairs := args.Rest()
	var few [8]float64
	scores := few[:0]
	for i := 0; i < len(pairs); i += 2 {
		score, ok := command.ParseFloat(pairs[i])
		if !ok {
			return command.ErrNotFloat
		}
		scores = append(scores, score)
	}
	set, err := tx.SortedSet(key)
	if err != nil {
		return err
	}
	var done tally
	var score float64
	for i := range scores {
		if score, err = o.put(set, pairs[2*i+1], scores[i], &done); err != nil {
			return err
		}
	}
	switch {
	case o.incr && done.skipped > 0:
		r.Null()
	case o.incr:
		r.Double(score)
	case o.ch:
		r.Int(done.added + done.changed)
	default:
		r.Int(done.added)
	}
	return nil
}

// tally counts what became of the elements of a ZADD: what the options left alone
// was skipped.
type tally struct{ added, changed, skipped int64 }

// put adds one element, or changes it, if the options want that. It returns the
// element's score afterwards, which means nothing if it was skipped.
func (o *addOptions) put(set *keyspace.SortedSet, member []byte, score float64, done *tally) (float64, error) {
	old, found := set.Score(member)
	if found && o.nx || !found && o.xx {
		done.skipped++
		return 0, nil
	}
	if !found {
		done.added++
		set.Set(member, score)
		return score, nil
	}
	if o.incr {
		score += old
		if math.IsNaN(score) {
			return 0, errScoreNaN
		}
	}
	if o.lt && score >= old || o.gt && score <= old {
		done.skipped++
		return 0, nil
	}
	if score != old {
		done.changed++
		set.Set(member, score)
	}
	return score, nil
}
