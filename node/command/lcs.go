package command

import (
	"slices"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// lcsOptions are LCS's.
type lcsOptions struct {
	length, indexes, lengths bool
	least                    int64 // length of a match that is shown
}

// lcs finds the longest common subsequence of two strings.
func lcs(tx ReadTx, args [][]byte) resp.Value {
	limit := tx.MaxString
	var texts [2][]byte
	for i := range texts {
		m, found := tx.Lookup(args[1+i])
		if found && m.Type != keyspace.TypeString {
			return resp.Err("The specified keys must contain string values")
		}
		texts[i] = m.Value
	}
	o, bad := parseLCS(args[3:])
	if bad != nil {
		return *bad
	}
	a, b := texts[0], texts[1]
	const cell = 4 // bytes
	if int64(limit)/cell/int64(len(a)+1) < int64(len(b)+1) {
		return resp.Err("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	}
	if !tx.Memory.Take(cell * (len(a) + 1) * (len(b) + 1)) {
		return resp.Null
	}
	table := newLCSTable(a, b)
	length := resp.Int(int64(table.at(len(a), len(b))))
	switch {
	case o.indexes:
		return resp.Map(resp.BulkString("matches"), table.matches(tx, o), resp.BulkString("len"), length)
	case o.length:
		return length
	default:
		return resp.Bulk(table.sequence())
	}
}

func parseLCS(args [][]byte) (o lcsOptions, bad *resp.Value) {
	fail := func(v resp.Value) (lcsOptions, *resp.Value) { return o, &v }
	for ; len(args) > 0; args = args[1:] {
		switch {
		case Is(args[0], "len"):
			o.length = true
		case Is(args[0], "idx"):
			o.indexes = true
		case Is(args[0], "withmatchlen"):
			o.lengths = true
		case Is(args[0], "minmatchlen") && len(args) > 1:
			var ok bool
			if o.least, ok = ParseInt(args[1]); !ok {
				return fail(errNotInteger())
			}
			args = args[1:]
		default:
			return fail(errSyntax())
		}
	}
	if o.length && o.indexes {
		return fail(resp.Err("If you want both the length and indexes, please just use IDX."))
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

// matches returns the stretches that a and b share, the last one first.
func (t lcsTable) matches(tx ReadTx, o lcsOptions) resp.Value {
	type stretch struct{ i, j, n int }
	var all []stretch
	t.pairs(func(i, j int) {
		if last := len(all) - 1; last >= 0 && all[last].i == i+1 && all[last].j == j+1 {
			all[last] = stretch{i, j, all[last].n + 1}
		} else {
			all = append(all, stretch{i, j, 1})
		}
	})
	shown := []resp.Value{}
	for _, s := range all {
		if int64(s.n) < o.least {
			continue
		}
		if !tx.Memory.Take(8 * elementSize) { // arrays of arrays of numbers
			return resp.Null
		}
		match := []resp.Value{span(s.i, s.n), span(s.j, s.n)}
		if o.lengths {
			match = append(match, resp.Int(int64(s.n)))
		}
		shown = append(shown, resp.Array(match...))
	}
	return resp.Array(shown...)
}

// span shows the indexes of the first and the last of n bytes.
func span(first, n int) resp.Value {
	return resp.Array(resp.Int(int64(first)), resp.Int(int64(first+n-1)))
}
