package sortedsets

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// zrandmember answers one member or, with a count, a list: of different elements if
// the count is positive, and else of as many as it says, some of them more than once.
func zrandmember(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if !args.More() {
		set, found, err := v.SortedSet(key)
		switch {
		case err != nil:
			return err
		case !found:
			r.Null()
		default:
			member, _, _ := set.At(v.Rand().Int64N(set.Len()))
			r.Bulk(member)
		}
		return nil
	}
	count, err := args.IntWithin(-math.MaxInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	withScores := args.Len() == 1 && args.Is("withscores")
	switch {
	case args.More():
		return command.ErrSyntax
	case withScores && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return command.Errorf("value is out of range")
	}
	set, found, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	if !found || count == 0 {
		r.Array(0)
		return nil
	}
	if count >= set.Len() {
		writeBetween(r, set, 0, set.Len(), false, withScores)
		return nil
	}
	n, places := v.Places(count, set.Len())
	writeHead(r, int(n), withScores)
	for place := range places {
		if r.Full() {
			break
		}
		member, score, _ := set.At(place)
		writeElement(r, member, score, withScores)
	}
	return nil
}
