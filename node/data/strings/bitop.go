package strings

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

const errBitOpNot = resp.Error("ERR BITOP NOT must be called with a single source key.")

// bitOp combines strings bit by bit; shorter ones count as if zeros followed.
func bitOp(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	not := command.Is(args.Peek(), "not")
	combine := combiner(args.Next())
	to := args.Next()
	switch {
	case combine == nil:
		return command.ErrSyntax
	case not && args.Len() != 1:
		return errBitOpNot
	}
	sources := make([][]byte, args.Len())
	size := 0
	for i := range sources {
		m, _, err := stringAt(tx, args.Next())
		if err != nil {
			return err
		}
		sources[i] = m.Value
		size = max(size, len(m.Value))
	}
	r.Int(int64(size))
	if size == 0 {
		tx.Delete(to)
		return nil
	}
	result := resized(sources[0], size)
	combine(result, sources[1:])
	tx.SetString(to, result, 0)
	return nil
}

// combiner returns what changes result, which is as long as the longest of them,
// by the other strings; nil if there is no such operation.
func combiner(name []byte) func(result []byte, others [][]byte) {
	switch {
	case command.Is(name, "and"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] &= b
				}
				clear(result[len(other):])
			}
		}
	case command.Is(name, "or"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] |= b
				}
			}
		}
	case command.Is(name, "xor"):
		return func(result []byte, others [][]byte) {
			for _, other := range others {
				for i, b := range other {
					result[i] ^= b
				}
			}
		}
	case command.Is(name, "not"):
		return func(result []byte, _ [][]byte) {
			for i := range result {
				result[i] = ^result[i]
			}
		}
	default:
		return nil
	}
}
