package sortedsets

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const errScoreNaN = resp.Error("ERR resulting score is not a number (NaN)")

// AddOptions are ZADD's.
type AddOptions struct {
	NX, XX, GT, LT, CH, Incr bool
}

func (o *AddOptions) take(args *command.Args) bool {
	for word, option := range o.words {
		if args.Is(word) {
			*option = true
			return true
		}
	}
	return false
}

// words walks over the options and their names.
func (o *AddOptions) words(yield func(word string, option *bool) bool) {
	_ = yield("nx", &o.NX) && yield("xx", &o.XX) && yield("ch", &o.CH) && yield("incr", &o.Incr) &&
		yield("gt", &o.GT) && yield("lt", &o.LT)
}

// check returns Redis's error for options that do not go together, before so many
// arguments.
func (o *AddOptions) check(left int) error {
	switch {
	case left == 0 || left%2 != 0:
		return command.ErrSyntax
	case o.NX && o.XX:
		return command.Errorf("XX and NX options at the same time are not compatible")
	case o.GT && o.NX || o.LT && o.NX || o.GT && o.LT:
		return command.Errorf("GT, LT, and/or NX options at the same time are not compatible")
	case o.Incr && left > 2:
		return command.Errorf("INCR option supports a single increment-element pair")
	default:
		return nil
	}
}

func zadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return add(tx, args, AddOptions{}, r)
}

// zincrby is ZADD with the option INCR, and takes ZADD's options besides, as in
// Redis: they only make its arity a syntax error.
func zincrby(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return add(tx, args, AddOptions{Incr: true}, r)
}

func add(tx *command.Tx, args *command.Args, o AddOptions, r *resp.Reply) error {
	key := args.Next()
	for o.take(args) {
	}
	if err := o.check(args.Len()); err != nil {
		return err
	}
	var few [8]Element
	elements := few[:0]
	for args.More() {
		score, err := args.Float()
		if err != nil {
			return err
		}
		elements = append(elements, Element{args.Next(), score})
	}
	return Add(tx, key, o, elements, r)
}

// Add is ZADD with these options for these elements, whose scores are numbers.
func Add(tx *command.Tx, key []byte, o AddOptions, elements []Element, r *resp.Reply) error {
	set, err := tx.SortedSet(key)
	if err != nil {
		return err
	}
	var done tally
	var score float64
	for _, e := range elements {
		if score, err = o.put(set, e.Member, e.Score, &done); err != nil {
			return err
		}
	}
	switch {
	case o.Incr && done.skipped > 0:
		r.Null()
	case o.Incr:
		r.Double(score)
	case o.CH:
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
func (o *AddOptions) put(set *keyspace.SortedSet, member []byte, score float64, done *tally) (float64, error) {
	old, found := set.Score(member)
	if found && o.NX || !found && o.XX {
		done.skipped++
		return 0, nil
	}
	if !found {
		done.added++
		set.Set(member, score)
		return score, nil
	}
	if o.Incr {
		score += old
		if math.IsNaN(score) {
			return 0, errScoreNaN
		}
	}
	if o.LT && score >= old || o.GT && score <= old {
		done.skipped++
		return 0, nil
	}
	if score != old {
		done.changed++
		set.Set(member, score)
	}
	return score, nil
}
