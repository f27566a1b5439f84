package sortedsets

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// zscan looks at its options only if the key is there, as Redis does.
func zscan(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	cursor, err := args.Cursor()
	if err != nil {
		return err
	}
	set, found, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	var o command.ScanOptions
	if found {
		if err := o.TakeAll(args); err != nil {
			return err
		}
	}
	at, n := r.Here(), 0
	small := set.Encoding() == listpack
	var digits [32]byte
	next := set.Scan(cursor, o.Count(), func(member []byte, score float64) {
		if o.Matches(member) {
			r.Bulk(member)
			r.Bulk(appendScore(digits[:0], score, small))
			n += 2
		}
	})
	r.ScannedAt(at, next, n)
	return nil
}

// listpack is the encoding of a small set.
const listpack = "listpack"

// appendScore appends a score as ZSCAN shows it: in a small set, whole numbers have all
// their digits.
func appendScore(dst []byte, score float64, small bool) []byte {
	if small && math.Abs(score) <= math.MaxInt64/2 && score == math.Trunc(score) {
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return resp.AppendDouble(dst, score)
}
