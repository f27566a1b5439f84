package command

import (
	"math"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// fieldOp is one operation of BITFIELD.
type fieldOp struct {
	kind   fieldKind
	signed bool
	bits   uint  // 1 to 64, unsigned to 63
	offset int64 // of the first bit
	value  int64 // of SET and INCRBY
	over   overflow
}

type fieldKind uint8

const (
	fieldGet fieldKind = iota
	fieldSet
	fieldIncrBy
)

// overflow says what becomes of a number that the field is too small for.
type overflow uint8

const (
	overflowWrap overflow = iota
	overflowSaturate
	overflowFail
)

func bitField(tx *keyspace.Tx, args [][]byte) resp.Value {
	limit := tx.Limit()
	ops, size, bad := parseFieldOps(args[2:], limit)
	if bad != nil {
		return *bad
	}
	m, _, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	value := m.Value
	if size > 0 { // something is written, be it zeros where an operation fails
		value = resized(value, size)
	}
	reply := runFieldOps(ops, value)
	if size > 0 {
		tx.SetString(args[1], value, m.ExpireAt)
	}
	return reply
}

func bitFieldRO(tx ReadTx, args [][]byte) resp.Value {
	limit := tx.MaxString
	ops, size, bad := parseFieldOps(args[2:], limit)
	if bad != nil {
		return *bad
	}
	if size > 0 {
		return resp.Err("BITFIELD_RO only supports the GET subcommand")
	}
	m, _, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	if !tx.Memory.Take(len(ops) * elementSize) {
		return resp.Null
	}
	return runFieldOps(ops, m.Value)
}

// bitFieldKeyFlags: BITFIELD writes unless it only gets.
func bitFieldKeyFlags(args [][]byte) KeyFlags {
	for rest := args[2:]; len(rest) > 0; {
		if !Is(rest[0], "get") {
			return KeyRW | KeyAccess | KeyUpdate
		}
		rest = rest[min(3, len(rest)):]
	}
	return KeyRO | KeyAccess
}

// parseFieldOps reads the operations, and returns how many bytes those that
// write need: 0 if none does.
func parseFieldOps(args [][]byte, limit int) (ops []fieldOp, size int, bad *resp.Value) {
	fail := func(v resp.Value) ([]fieldOp, int, *resp.Value) { return nil, 0, &v }
	over := overflowWrap
	for len(args) > 0 {
		op := fieldOp{over: over}
		taken := 4
		switch {
		case Is(args[0], "get") && len(args) >= 3:
			taken = 3
		case Is(args[0], "set") && len(args) >= 4:
			op.kind = fieldSet
		case Is(args[0], "incrby") && len(args) >= 4:
			op.kind = fieldIncrBy
		case Is(args[0], "overflow") && len(args) >= 2:
			var ok bool
			if over, ok = parseOverflow(args[1]); !ok {
				return fail(resp.Err("Invalid OVERFLOW type specified"))
			}
			args = args[2:]
			continue
		default:
			return fail(errSyntax())
		}
		var ok bool
		if op.signed, op.bits, ok = parseFieldType(args[1]); !ok {
			return fail(resp.Err("Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."))
		}
		if op.offset, ok = parseFieldOffset(args[2], op.bits, limit); !ok {
			return fail(errBitOffset())
		}
		if op.kind != fieldGet {
			if op.value, ok = ParseInt(args[3]); !ok {
				return fail(errNotInteger())
			}
			size = max(size, int((op.offset+int64(op.bits)-1)>>3)+1)
		}
		ops = append(ops, op)
		args = args[taken:]
	}
	return ops, size, nil
}

func parseOverflow(arg []byte) (over overflow, ok bool) {
	switch {
	case Is(arg, "wrap"):
		return overflowWrap, true
	case Is(arg, "sat"):
		return overflowSaturate, true
	case Is(arg, "fail"):
		return overflowFail, true
	default:
		return 0, false
	}
}

// parseFieldType reads a type such as i16 or u8.
func parseFieldType(arg []byte) (signed bool, bits uint, ok bool) {
	if len(arg) == 0 || arg[0] != 'i' && arg[0] != 'u' {
		return false, 0, false
	}
	signed = arg[0] == 'i'
	n, ok := ParseInt(arg[1:])
	if !ok || n < 1 || n > 64 || n == 64 && !signed {
		return false, 0, false
	}
	return signed, uint(n), true
}

// parseFieldOffset reads an offset in bits, or, behind #, in fields.
func parseFieldOffset(arg []byte, bits uint, limit int) (offset int64, ok bool) {
	if len(arg) == 0 || arg[0] != '#' {
		return parseBitOffset(arg, limit)
	}
	n, ok := ParseInt(arg[1:])
	if !ok || n < 0 || n > math.MaxInt64/int64(bits) {
		return 0, false
	}
	offset = n * int64(bits)
	return offset, offset>>3 < int64(limit)
}

// runFieldOps carries the operations out on value, and returns what each
// answers.
func runFieldOps(ops []fieldOp, value []byte) resp.Value {
	replies := make([]resp.Value, len(ops))
	for i, op := range ops {
		replies[i] = op.run(value)
	}
	return resp.Array(replies...)
}

func (op fieldOp) run(value []byte) resp.Value {
	old := op.load(value)
	switch op.kind {
	case fieldSet:
		if n, ok := op.fit(op.value, 0); ok {
			op.store(value, n)
			return resp.Int(old)
		}
		return resp.Null
	case fieldIncrBy:
		if n, ok := op.fit(old, op.value); ok {
			op.store(value, n)
			return resp.Int(n)
		}
		return resp.Null
	default:
		return resp.Int(old)
	}
}

// load reads the field; what lies beyond value is zeros.
func (op fieldOp) load(value []byte) int64 {
	var n uint64
	for at := op.offset; at < op.offset+int64(op.bits); at++ {
		n <<= 1
		if i := at >> 3; i < int64(len(value)) && value[i]&maskOf(at) != 0 {
			n |= 1
		}
	}
	return op.extend(n)
}

// extend makes the number of the field's bits: the lowest ones of n.
func (op fieldOp) extend(n uint64) int64 {
	unused := 64 - op.bits
	if op.signed {
		return int64(n<<unused) >> unused
	}
	return int64(n << unused >> unused)
}

// store writes the field, which lies within value.
func (op fieldOp) store(value []byte, n int64) {
	for at := op.offset + int64(op.bits) - 1; at >= op.offset; at-- {
		if n&1 != 0 {
			value[at>>3] |= maskOf(at)
		} else {
			value[at>>3] &^= maskOf(at)
		}
		n >>= 1
	}
}

// fit returns a+b as the field can hold it; ok is false if it cannot and is to
// fail then. To an unsigned field, a negative a is a large number.
func (op fieldOp) fit(a, b int64) (n int64, ok bool) {
	lowest, highest := op.limits()
	above := a > highest || !op.signed && a < 0
	below := !above && a < lowest
	if !above && !below { // the distances to the limits fit into 64 bits
		above = b > 0 && uint64(b) > uint64(highest)-uint64(a)
		below = b < 0 && -uint64(b) > uint64(a)-uint64(lowest)
	}
	switch {
	case !above && !below:
		return a + b, true
	case op.over == overflowFail:
		return 0, false
	case op.over == overflowWrap:
		return op.extend(uint64(a) + uint64(b)), true
	case above:
		return highest, true
	default:
		return lowest, true
	}
}

// limits returns the smallest and the largest number of the field.
func (op fieldOp) limits() (lowest, highest int64) {
	if op.signed {
		highest = math.MaxInt64 >> (64 - op.bits)
		return -highest - 1, highest
	}
	return 0, math.MaxInt64 >> (63 - op.bits)
}
