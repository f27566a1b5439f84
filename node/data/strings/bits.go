package strings

import (
	"encoding/binary"
	"math/bits"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/resp"
)

// bitCommands returns the rows of the commands on strings as arrays of bits.
func bitCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "setbit", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatBitmap,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:    command.Doc{Usage: "key offset value", Summary: "Sets or clears a bit of the string value of a key.", Since: "2.2.0", Group: "bitmap", Complexity: "O(N)"},
			Write:  setBit,
			Weight: setBitWeight,
		},
		{
			Name: "getbit", Arity: 3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatBitmap,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key offset", Summary: "Returns a bit of the string value of a key.", Since: "2.2.0", Group: "bitmap", Complexity: "O(1)"},
			Read: getBit,
		},
		{
			Name: "bitcount", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatBitmap,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [start end [BYTE|BIT]]", Summary: "Counts the bits that are set.", Since: "2.6.0", Group: "bitmap", Complexity: "O(N)"},
			Read: bitCount,
		},
		{
			Name: "bitpos", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatBitmap,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key bit [start [end [BYTE|BIT]]]", Summary: "Finds the first bit that is set, or clear.", Since: "2.8.7", Group: "bitmap", Complexity: "O(N)"},
			Read: bitPos,
		},
		{
			Name: "bitop", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatBitmap,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 2}, {Flags: command.KeyRO | command.KeyAccess, Begin: 3, Last: -1}},
			Doc:    command.Doc{Usage: "(AND|OR|XOR|NOT) destkey key [key ...]", Summary: "Combines strings bit by bit.", Since: "2.6.0", Group: "bitmap", Complexity: "O(N)"},
			Write:  bitOp,
			Weight: command.Copies,
		},
		{
			Name: "bitfield", Arity: -2, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatBitmap,
			Keys: []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate | command.KeyVariable, Begin: 1, Actual: bitFieldKeyFlags, Notes: "This command allows both access and modification of the key"}},
			Doc:  command.Doc{Usage: "key [(GET encoding offset | [OVERFLOW (WRAP|SAT|FAIL)] (SET encoding offset value | INCRBY encoding offset increment)) ...]", Summary: "Reads and writes numbers of any number of bits.", Since: "3.2.0", Group: "bitmap", Complexity: "O(N)"},
			Read: bitFieldGet, Write: bitField, Writes: bitFieldWrites,
			Weight: bitFieldWeight,
		},
		{
			Name: "bitfield_ro", Arity: -2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatBitmap,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [GET encoding offset ...]", Summary: "Reads numbers of any number of bits.", Since: "6.0.0", Group: "bitmap", Complexity: "O(N)"},
			Read: bitFieldRO,
		},
	}
}

const (
	errBitOffset = resp.Error("ERR bit offset is not an integer or out of range")
	errBitValue  = resp.Error("ERR bit is not an integer or out of range")
	errBitArg    = resp.Error("ERR The bit argument must be 1 or 0.")
)

// takeBitOffset takes the index of a bit, whose byte must be below limit.
func takeBitOffset(args *command.Args, limit int) (int64, error) {
	return parseBitOffset(args.Next(), limit)
}

func parseBitOffset(arg []byte, limit int) (int64, error) {
	offset, ok := command.ParseInt(arg)
	if !ok || offset < 0 || offset>>3 >= int64(limit) {
		return 0, errBitOffset
	}
	return offset, nil
}

// maskOf returns the bit of a byte that an offset means: bit 0 is the highest.
func maskOf(offset int64) byte { return 0x80 >> (offset & 7) }

func setBit(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	offset, err := takeBitOffset(args, tx.MaxString)
	if err != nil {
		return err
	}
	on, ok := command.ParseInt(args.Next())
	if !ok || on != 0 && on != 1 {
		return errBitValue
	}
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	at, mask := int(offset>>3), maskOf(offset)
	old := int64(0)
	if at < len(m.Value) && m.Value[at]&mask != 0 {
		old = 1
	}
	r.Int(old)
	if found && at < len(m.Value) && old == on {
		return nil // nothing changes
	}
	value := resized(m.Value, at+1)
	if on == 1 {
		value[at] |= mask
	} else {
		value[at] &^= mask
	}
	tx.SetString(key, value, m.ExpireAt)
	return nil
}

func getBit(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	offset, err := takeBitOffset(args, v.MaxString)
	if err != nil {
		return err
	}
	m, _, err := stringAt(v, key)
	if err != nil {
		return err
	}
	bit := int64(0)
	if at := offset >> 3; at < int64(len(m.Value)) && m.Value[at]&maskOf(offset) != 0 {
		bit = 1
	}
	r.Int(bit)
	return nil
}

// bitRange is the range that BITCOUNT and BITPOS look at.
type bitRange struct {
	start, end int64 // negative: from the back
	inBits     bool  // they count bits, not bytes
}

// takeUnit takes BYTE or BIT, and then there must be nothing more.
func (b *bitRange) takeUnit(args *command.Args) error {
	if args.Is("bit") {
		b.inBits = true
	} else if !args.Is("byte") {
		return command.ErrSyntax
	}
	return args.End()
}

// of returns the range as indexes of bits of value. first > last means that it
// is empty.
func (b bitRange) of(value []byte) (first, last int64) {
	if b.inBits {
		return option.Within(b.start, b.end, int64(len(value))*8)
	}
	first, last = option.Within(b.start, b.end, int64(len(value)))
	if first > last {
		return 1, 0 // a large start must not overflow
	}
	return first * 8, last*8 + 7
}

// bitCount looks at the range before the key, as Redis does from 7.2 on.
func bitCount(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	b, err := takeBitCountRange(args)
	if err != nil {
		return err
	}
	m, _, err := stringAt(v, key)
	if err != nil {
		return err
	}
	if option.Backwards(b.start, b.end) {
		r.Int(0)
		return nil
	}
	first, last := b.of(m.Value)
	r.Int(countBits(m.Value, first, last))
	return nil
}

// takeBitCountRange takes nothing, or start end [BYTE|BIT].
func takeBitCountRange(args *command.Args) (b bitRange, err error) {
	b.end = -1
	switch n := args.Len(); {
	case n == 0:
		return b, nil
	case n == 1 || n > 3:
		return b, command.ErrSyntax
	}
	if b.start, err = args.Int(); err != nil {
		return b, err
	}
	if b.end, err = args.Int(); err != nil || !args.More() {
		return b, err
	}
	return b, b.takeUnit(args)
}

// bitPos looks at the bit, the range and the key in the order of Redis 7.2: a key
// that is not there is all zeros.
func bitPos(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	bit, err := args.Int()
	if err != nil {
		return err
	}
	if bit != 0 && bit != 1 {
		return errBitArg
	}
	endGiven := args.Len() > 1
	b, err := takeBitPosRange(args)
	if err != nil {
		return err
	}
	m, found, err := stringAt(v, key)
	if err != nil {
		return err
	}
	if !found {
		r.Int(-bit)
		return nil
	}
	first, last := b.of(m.Value)
	if first > last {
		r.Int(-1)
		return nil
	}
	at := findBit(m.Value, bit == 1, first, last)
	if at < 0 && bit == 0 && !endGiven {
		at = last + 1 // zeros follow the value
	}
	r.Int(at)
	return nil
}

// takeBitPosRange takes [start [end [BYTE|BIT]]], and judges the unit before the end,
// as Redis does.
func takeBitPosRange(args *command.Args) (b bitRange, err error) {
	b.end = -1
	if args.Len() > 3 {
		return b, command.ErrSyntax
	}
	if args.More() {
		if b.start, err = args.Int(); err != nil {
			return b, err
		}
	}
	if !args.More() {
		return b, nil
	}
	end := args.Next()
	if args.More() {
		if err := b.takeUnit(args); err != nil {
			return b, err
		}
	}
	var ok bool
	if b.end, ok = command.ParseInt(end); !ok {
		return b, command.ErrNotInteger
	}
	return b, nil
}

// countBits counts the ones from bit first to bit last of b.
func countBits(b []byte, first, last int64) (n int64) {
	if first > last {
		return 0
	}
	from, to := first>>3, last>>3
	// What stands in the outer bytes beyond the range.
	n -= int64(bits.OnesCount8(b[from] &^ (0xff >> (first & 7))))
	n -= int64(bits.OnesCount8(b[to] & (0x7f >> (last & 7))))
	b = b[from : to+1]
	for ; len(b) >= 8; b = b[8:] {
		n += int64(bits.OnesCount64(binary.LittleEndian.Uint64(b)))
	}
	for _, x := range b {
		n += int64(bits.OnesCount8(x))
	}
	return n
}

// findBit returns the index of the first one (or zero) from bit first to bit
// last of b, -1 if there is none.
func findBit(b []byte, one bool, first, last int64) int64 {
	var flip byte // makes what is looked for a one
	var dull uint64
	if !one {
		flip, dull = 0xff, ^uint64(0)
	}
	keep := byte(0xff) >> (first & 7) // of the first byte
	for at := first >> 3; at <= last>>3; at++ {
		for keep == 0xff && at+8 <= last>>3 && binary.LittleEndian.Uint64(b[at:]) == dull {
			at += 8
		}
		if x := (b[at] ^ flip) & keep; x != 0 {
			if found := at*8 + int64(bits.LeadingZeros8(x)); found <= last {
				return found
			}
			return -1
		}
		keep = 0xff
	}
	return -1
}
