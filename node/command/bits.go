package command

import (
	"encoding/binary"
	"math/bits"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// bitCommands returns the rows of the commands on strings as arrays of bits.
func bitCommands() []*Command {
	return []*Command{
		{
			Name: "setbit", Arity: 4, Flags: FlagWrite | FlagDenyOOM, ACL: CatBitmap,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key offset value", Summary: "Sets or clears a bit of the string value of a key.", Since: "2.2.0", Group: "bitmap", Complexity: "O(N)"},
			OldWrite: setBit,
		},
		{
			Name: "getbit", Arity: 3, Flags: FlagReadOnly | FlagFast, ACL: CatBitmap,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key offset", Summary: "Returns a bit of the string value of a key.", Since: "2.2.0", Group: "bitmap", Complexity: "O(1)"},
			OldRead: getBit,
		},
		{
			Name: "bitcount", Arity: -2, Flags: FlagReadOnly, ACL: CatBitmap,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key [start end [BYTE|BIT]]", Summary: "Counts the bits that are set.", Since: "2.6.0", Group: "bitmap", Complexity: "O(N)"},
			OldRead: bitCount,
		},
		{
			Name: "bitpos", Arity: -3, Flags: FlagReadOnly, ACL: CatBitmap,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key bit [start [end [BYTE|BIT]]]", Summary: "Finds the first bit that is set, or clear.", Since: "2.8.7", Group: "bitmap", Complexity: "O(N)"},
			OldRead: bitPos,
		},
		{
			Name: "bitop", Arity: -4, Flags: FlagWrite | FlagDenyOOM, ACL: CatBitmap,
			Keys:     []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 2}, {Flags: KeyRO | KeyAccess, Begin: 3, Last: -1}},
			Doc:      Doc{Usage: "(AND|OR|XOR|NOT) destkey key [key ...]", Summary: "Combines strings bit by bit.", Since: "2.6.0", Group: "bitmap", Complexity: "O(N)"},
			OldWrite: bitOp,
		},
		{
			Name: "bitfield", Arity: -2, Flags: FlagWrite | FlagDenyOOM, ACL: CatBitmap,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate | KeyVariable, Begin: 1, Actual: bitFieldKeyFlags, Notes: "This command allows both access and modification of the key"}},
			Doc:      Doc{Usage: "key [(GET encoding offset | [OVERFLOW (WRAP|SAT|FAIL)] (SET encoding offset value | INCRBY encoding offset increment)) ...]", Summary: "Reads and writes numbers of any number of bits.", Since: "3.2.0", Group: "bitmap", Complexity: "O(N)"},
			OldWrite: bitField,
		},
		{
			Name: "bitfield_ro", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatBitmap,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key [GET encoding offset ...]", Summary: "Reads numbers of any number of bits.", Since: "6.0.0", Group: "bitmap", Complexity: "O(N)"},
			OldRead: bitFieldRO,
		},
	}
}

// parseBitOffset reads the index of a bit, whose byte must be below limit.
func parseBitOffset(arg []byte, limit int) (offset int64, ok bool) {
	offset, ok = ParseInt(arg)
	return offset, ok && offset >= 0 && offset>>3 < int64(limit)
}

func errBitOffset() resp.Value { return resp.Err("bit offset is not an integer or out of range") }

// maskOf returns the bit of a byte that an offset means: bit 0 is the highest.
func maskOf(offset int64) byte { return 0x80 >> (offset & 7) }

func setBit(tx *keyspace.Tx, args [][]byte) resp.Value {
	limit := tx.Limit()
	offset, ok := parseBitOffset(args[2], limit)
	if !ok {
		return errBitOffset()
	}
	on, ok := ParseInt(args[3])
	if !ok || on != 0 && on != 1 {
		return resp.Err("bit is not an integer or out of range")
	}
	m, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	at, mask := int(offset>>3), maskOf(offset)
	old := int64(0)
	if at < len(m.Value) && m.Value[at]&mask != 0 {
		old = 1
	}
	if found && at < len(m.Value) && old == on {
		return resp.Int(old) // nothing changes
	}
	value := resized(m.Value, at+1)
	if on == 1 {
		value[at] |= mask
	} else {
		value[at] &^= mask
	}
	tx.SetString(args[1], value, m.ExpireAt)
	return resp.Int(old)
}

func getBit(tx ReadTx, args [][]byte) resp.Value {
	limit := tx.MaxString
	offset, ok := parseBitOffset(args[2], limit)
	if !ok {
		return errBitOffset()
	}
	m, _, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	if at := offset >> 3; at < int64(len(m.Value)) && m.Value[at]&maskOf(offset) != 0 {
		return resp.Int(1)
	}
	return resp.Int(0)
}

// bitRange is the range that BITCOUNT and BITPOS look at.
type bitRange struct {
	start, end int64 // negative: from the back
	inBits     bool  // they count bits, not bytes
}

// unit reads BYTE or BIT.
func (r *bitRange) unit(arg []byte) (ok bool) {
	r.inBits = Is(arg, "bit")
	return r.inBits || Is(arg, "byte")
}

// of returns the range as indexes of bits of value. first > last means that it
// is empty.
func (r bitRange) of(value []byte) (first, last int64) {
	if r.inBits {
		return within(r.start, r.end, int64(len(value))*8)
	}
	first, last = within(r.start, r.end, int64(len(value)))
	if first > last {
		return 1, 0 // a large start must not overflow
	}
	return first * 8, last*8 + 7
}

// bitCount looks at the key, the range and its unit in the order of Redis: a key
// that is not there makes 0 of anything.
func bitCount(tx ReadTx, args [][]byte) resp.Value {
	m, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	if !found {
		return resp.Int(0)
	}
	r := bitRange{end: -1}
	switch len(args) {
	case 2:
	case 4, 5:
		var ok1, ok2 bool
		r.start, ok1 = ParseInt(args[2])
		r.end, ok2 = ParseInt(args[3])
		if !ok1 || !ok2 {
			return errNotInteger()
		}
		if backwards(r.start, r.end) {
			return resp.Int(0)
		}
		if len(args) == 5 && !r.unit(args[4]) {
			return errSyntax()
		}
	default:
		return errSyntax()
	}
	first, last := r.of(m.Value)
	return resp.Int(countBits(m.Value, first, last))
}

// bitPos looks at the bit, the key and the range in the order of Redis: a key
// that is not there is all zeros, whatever the range.
func bitPos(tx ReadTx, args [][]byte) resp.Value {
	bit, ok := ParseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	if bit != 0 && bit != 1 {
		return resp.Err("The bit argument must be 1 or 0.")
	}
	m, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	if !found {
		return resp.Int(-bit)
	}
	r, bad := parseBitPosRange(args[3:])
	if bad != nil {
		return *bad
	}
	first, last := r.of(m.Value)
	if first > last {
		return resp.Int(-1)
	}
	at := findBit(m.Value, bit == 1, first, last)
	if endGiven := len(args) > 4; at < 0 && bit == 0 && !endGiven {
		at = last + 1 // zeros follow the value
	}
	return resp.Int(at)
}

// parseBitPosRange reads [start [end [BYTE|BIT]]].
func parseBitPosRange(args [][]byte) (r bitRange, bad *resp.Value) {
	fail := func(v resp.Value) (bitRange, *resp.Value) { return r, &v }
	r.end = -1
	if len(args) > 3 {
		return fail(errSyntax())
	}
	var ok bool
	if len(args) > 0 {
		if r.start, ok = ParseInt(args[0]); !ok {
			return fail(errNotInteger())
		}
	}
	if len(args) > 2 && !r.unit(args[2]) {
		return fail(errSyntax())
	}
	if len(args) > 1 {
		if r.end, ok = ParseInt(args[1]); !ok {
			return fail(errNotInteger())
		}
	}
	return r, nil
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
