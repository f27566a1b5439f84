package strings

import (
	"math"

	"github.com/genuineh/aikv/node/command"
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

const (
	errFieldType     = resp.Error("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
	errFieldOverflow = resp.Error("ERR Invalid OVERFLOW type specified")
	errFieldReadOnly = resp.Error("ERR BITFIELD_RO only supports the GET subcommand")
)

func bitField(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	ops, size, err := takeFieldOps(args, tx.MaxString)
	if err != nil {
		return err
	}
	m, _, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	value := m.Value
	if size > 0 { // something is written, be it zeros where an operation fails
		value = resized(value, size)
	}
	runFieldOps(ops, value, r)
	if size > 0 {
		tx.SetString(key, value, m.ExpireAt)
	}
	return nil
}

// bitFieldWrites: BITFIELD writes unless it only gets. What is malformed is refused as
// a read.
func bitFieldWrites(args [][]byte) bool {
	return bitFieldKeyFlags(args)&command.KeyRW != 0
}

// bitFieldGet is BITFIELD that only gets.
func bitFieldGet(v *command.View, args *command.Args, r *resp.Reply) error {
	return getFields(v, args, r)
}

func bitFieldRO(v *command.View, args *command.Args, r *resp.Reply) error {
	return getFields(v, args, r)
}

func getFields(v *command.View, args *command.Args, r *resp.Reply) error {
	const perOp, opSize = 3, 48 // arguments, bytes
	key := args.Next()
	if !v.Memory.Take(args.Len() / perOp * opSize) {
		return nil
	}
	ops, size, err := takeFieldOps(args, v.MaxString)
	if err != nil {
		return err
	}
	if size > 0 {
		return errFieldReadOnly
	}
	m, _, err := stringAt(v, key)
	if err != nil {
		return err
	}
	runFieldOps(ops, m.Value, r)
	return nil
}

// bitFieldKeyFlags: BITFIELD writes unless it only gets.
func bitFieldKeyFlags(args [][]byte) command.KeyFlags {
	for rest := args[2:]; len(rest) > 0; rest = rest[min(3, len(rest)):] {
		if !command.Is(rest[0], "get") {
			return command.KeyRW | command.KeyAccess | command.KeyUpdate
		}
	}
	return command.KeyRO | command.KeyAccess
}

// takeFieldOps takes the operations, and returns how many bytes those that
// write need: 0 if none does.
func takeFieldOps(args *command.Args, limit int) (ops []fieldOp, size int, err error) {
	over := overflowWrap
	for args.More() {
		op := fieldOp{over: over}
		switch {
		case args.IsWith("get", 2):
		case args.IsWith("set", 3):
			op.kind = fieldSet
		case args.IsWith("incrby", 3):
			op.kind = fieldIncrBy
		case args.IsWith("overflow", 1):
			var ok bool
			if over, ok = parseOverflow(args.Next()); !ok {
				return nil, 0, errFieldOverflow
			}
			continue
		default:
			return nil, 0, command.ErrSyntax
		}
		if err := op.take(args, limit); err != nil {
			return nil, 0, err
		}
		if op.kind != fieldGet {
			size = max(size, int((op.offset+int64(op.bits)-1)>>3)+1)
		}
		ops = append(ops, op)
	}
	return ops, size, nil
}

// take takes the operation's type, offset and value.
func (op *fieldOp) take(args *command.Args, limit int) (err error) {
	var ok bool
	if op.signed, op.bits, ok = parseFieldType(args.Next()); !ok {
		return errFieldType
	}
	if op.offset, err = parseFieldOffset(args.Next(), op.bits, limit); err != nil {
		return err
	}
	if op.kind != fieldGet {
		op.value, err = args.Int()
	}
	return err
}

func parseOverflow(arg []byte) (over overflow, ok bool) {
	switch {
	case command.Is(arg, "wrap"):
		return overflowWrap, true
	case command.Is(arg, "sat"):
		return overflowSaturate, true
	case command.Is(arg, "fail"):
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
	n, ok := command.ParseInt(arg[1:])
	if !ok || n < 1 || n > 64 || n == 64 && !signed {
		return false, 0, false
	}
	return signed, uint(n), true
}

// parseFieldOffset reads an offset in bits, or, behind #, in fields.
func parseFieldOffset(arg []byte, bits uint, limit int) (offset int64, err error) {
	if len(arg) == 0 || arg[0] != '#' {
		return parseBitOffset(arg, limit)
	}
	n, ok := command.ParseInt(arg[1:])
	if !ok || n < 0 || n > math.MaxInt64/int64(bits) {
		return 0, errBitOffset
	}
	if offset = n * int64(bits); offset>>3 >= int64(limit) {
		return 0, errBitOffset
	}
	return offset, nil
}

// runFieldOps carries the operations out on value, and writes what each answers.
func runFieldOps(ops []fieldOp, value []byte, r *resp.Reply) {
	r.Array(len(ops))
	for _, op := range ops {
		if n, ok := op.run(value); ok {
			r.Int(n)
		} else {
			r.Null()
		}
	}
}

// run carries the operation out; ok is false if it has failed.
func (op fieldOp) run(value []byte) (n int64, ok bool) {
	old := op.load(value)
	switch op.kind {
	case fieldSet:
		if n, ok = op.fit(op.value, 0); ok {
			op.store(value, n)
		}
		return old, ok
	case fieldIncrBy:
		if n, ok = op.fit(old, op.value); ok {
			op.store(value, n)
		}
		return n, ok
	default:
		return old, true
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
	if op.signed && op.bits < 64 && a < highest-math.MaxInt64 {
		above = true // Redis's distance to the highest number wraps around there
	}
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
