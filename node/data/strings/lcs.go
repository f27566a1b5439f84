package strings

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errLCSType   = resp.Error("ERR The specified keys must contain string values")
	errLCSMemory = resp.Error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	errLCSBoth   = resp.Error("ERR If you want both the length and indexes, please just use IDX.")
)

// lcsOptions are LCS's.
type lcsOptions struct {
	length, indexes, lengths bool
	least                    int64 // length of a match that is shown
}

// lcs finds the longest common subsequence of two strings.
func lcs(v *command.View, args *command.Args, r *resp.Reply) error {
	var texts [2][]byte
	for i := range texts {
		m, _, err := stringAt(v, args.Next())
		if err != nil {
			return errLCSType
		}
		texts[i] = m.Value
	}
	o, err := takeLCS(args)
	if err != nil {
		return err
	}
	a, b := texts[0], texts[1]
	const cell = 4 // bytes
	if int64(v.MaxString)/cell/int64(len(a)+1) < int64(len(b)+1) {
		return errLCSMemory
	}
	if !v.Memory.Take(cell * (len(a) + 1) * (len(b) + 1)) {
		return nil
	}
	table := newLCSTable(a, b)
	length := int64(table.at(len(a), len(b)))
	switch {
	case o.indexes:
		r.Map(2)
		r.BulkString("matches")
		table.matches(v, o, r)
		r.BulkString("len")
		r.Int(length)
	case o.length:
		r.Int(length)
	default:
		r.Bulk(table.sequence())
	}
	return nil
}

func takeLCS(args *command.Args) (o lcsOptions, err error) {
	for args.More() {
		switch {
		case args.Is("len"):
			o.length = true
		case args.Is("idx"):
			o.indexes = true
		case args.Is("withmatchlen"):
			o.lengths = true
		case args.IsWith("minmatchlen", 1):
			if o.least, err = args.Int(); err != nil {
				return o, err
			}
		default:
			return o, command.ErrSyntax
		}
	}
	if o.length && o.indexes {
		return o, errLCSBoth
	}
	return o, nil
}

// lcsTable holds how long the longest common subsequence is of each beginning of
// a with each of b, row by row.
type lcsTable struct {
	a, b    []byte
	lengths []uint32
}

func newLCSTable(a, b []byte) lcsTable {
	width := len(b) + 1
	t := lcsTable{a, b, make([]uint32, (len(a)+1)*width)}
	for i := range a {
		above, row := t.lengths[i*width:(i+1)*width], t.lengths[(i+1)*width:(i+2)*width]
		for j := range b {
			if a[i] == b[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t
}

// at returns the length for the first i bytes of a and the first j of b.
func (t lcsTable) at(i, j int) uint32 { return t.lengths[i*(len(t.b)+1)+j] }

// pairs calls match for the indexes of each byte of the subsequence, from its
// end to its beginning. Of several subsequences it takes Redis's.
func (t lcsTable) pairs(match func(i, j int)) {
	for i, j := len(t.a), len(t.b); i > 0 && j > 0; {
		switch {
		case t.a[i-1] == t.b[j-1]:
			i, j = i-1, j-1
			match(i, j)
		case t.at(i-1, j) > t.at(i, j-1):
			i--
		default:
			j--
		}
	}
}

func (t lcsTable) sequence() []byte {
	found := make([]byte, 0, t.at(len(t.a), len(t.b)))
	t.pairs(func(i, _ int) { found = append(found, t.a[i]) })
	slices.Reverse(found)
	return found
}

// matches writes the stretches that a and b share, the last one first.
func (t lcsTable) matches(v *command.View, o lcsOptions, r *resp.Reply) {
	type stretch struct{ i, j, n int }
	const stretchSize = 3 * 8 // bytes
	var all []stretch
	t.pairs(func(i, j int) {
		if last := len(all) - 1; last >= 0 && all[last].i == i+1 && all[last].j == j+1 {
			all[last] = stretch{i, j, all[last].n + 1}
		} else if v.Memory.Take(2 * stretchSize) {
			all = append(all, stretch{i, j, 1})
		}
	})
	at, shown := r.Here(), 0
	for _, s := range all {
		if int64(s.n) < o.least {
			continue
		}
		shown++
		if o.lengths {
			r.Array(3)
		} else {
			r.Array(2)
		}
		writeBounds(r, s.i, s.n)
		writeBounds(r, s.j, s.n)
		if o.lengths {
			r.Int(int64(s.n))
		}
	}
	r.ArrayAt(at, shown)
}

// writeBounds writes the indexes of the first and the last of n bytes.
func writeBounds(r *resp.Reply, first, n int) {
	r.Array(2)
	r.Int(int64(first))
	r.Int(int64(first + n - 1))
}
