package command

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// bitOp combines strings bit by bit; shorter ones count as if zeros followed.
func bitOp(tx *keyspace.Tx, args [][]byte) resp.Value {
	combine := combiner(args[1])
	to, from := args[2], args[3:]
	switch {
	case combine == nil:
		return errSyntax()
	case Is(args[1], "not") && len(from) != 1:
		return resp.Err("BITOP NOT must be called with a single source key.")
	}
	sources := make([][]byte, len(from))
	size := 0
	for i, key := range from {
		m, _, bad := stringAt(tx, key)
		if bad != nil {
			return *bad
		}
		sources[i] = m.Value
		size = max(size, len(m.Value))
	}
	if size == 0 {
		tx.Delete(to)
		return resp.Int(0)
	}
	result := resized(sources[0], size)
	combine(result, sources[1:])
	tx.SetString(to, result, 0)
	return resp.Int(int64(size))
}

// combiner returns what changes result, which is as long as the longest of them,
// by the other strings; nil if there is no such operation.
func combiner(name []byte) func(result []byte, others [][]byte) {
	switch {
	case Is(name, "and"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] &= b
				}
				clear(result[len(other):])
			}
		}
	case Is(name, "or"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] |= b
				}
			}
		}
	case Is(name, "xor"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] ^= b
				}
			}
		}
	case Is(name, "not"):
		return func(result []byte, _ [][]byte) {
			for i := range result {
				result[i] = ^result[i]
			}
		}
	default:
		return nil
	}
}
