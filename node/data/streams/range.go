package streams

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

func xrange(v *command.View, args *command.Args, r *resp.Reply) error {
	key, first, last := args.Next(), args.Next(), args.Next()
	return answerRange(v, key, first, last, false, args, r)
}

func xrevrange(v *command.View, args *command.Args, r *resp.Reply) error {
	key, last, first := args.Next(), args.Next(), args.Next()
	return answerRange(v, key, first, last, true, args, r)
}

// answerRange answers with the entries of a range. What is left of the arguments are the
// options.
func answerRange(v *command.View, key, first, last []byte, reverse bool, args *command.Args, r *resp.Reply) error {
	from, err := parseStart(first)
	if err != nil {
		return err
	}
	to, err := parseEnd(last)
	if err != nil {
		return err
	}
	count, limited := int64(0), false
	for args.More() {
		if !args.IsWith("count", 1) {
			return command.ErrSyntax
		}
		if count, err = args.Int(); err != nil {
			return err
		}
		count, limited = max(count, 0), true
	}
	s, found, err := v.Stream(key)
	switch {
	case err != nil:
		return err
	case !found:
		r.Array(0)
	case limited && count == 0:
		r.NullArray()
	default:
		writeRange(r, s, from, to, reverse, count)
	}
	return nil
}

// writeRange writes an array of entries, of at most count if that is not 0.
func writeRange(r *resp.Reply, s *keyspace.StreamView, from, to keyspace.StreamID, reverse bool, count int64) {
	at, n := r.Here(), int64(0)
	for e := range s.Entries(from, to, reverse) {
		writeEntry(r, e)
		if n++; n == count || r.Full() {
			break
		}
	}
	r.ArrayAt(at, int(n))
}
