package rdb_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/rdb"
)

// What present servers write no more is made here, and held against what Redis 7.0,
// which still reads it, makes of it.

// sealed is the payload of a type byte and a value.
func sealed(value []byte, version uint16) []byte {
	value = binary.LittleEndian.AppendUint16(bytes.Clone(value), version)
	return binary.LittleEndian.AppendUint64(value, ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), value))
}

// str is a string as it stands in a payload.
func str(s string) string {
	switch n := len(s); {
	case n < 1<<6:
		return string(rune(n)) + s
	case n < 1<<14:
		return string([]byte{0x40 | byte(n>>8), byte(n)}) + s
	default:
		return string(binary.BigEndian.AppendUint32([]byte{0x80}, uint32(n))) + s
	}
}

// ziplist makes one. Numbers, and lengths, are as short as they can be.
func ziplist(elements ...string) string {
	var b []byte
	before, last := 0, 10
	for _, e := range elements {
		last = 10 + len(b)
		start := len(b)
		if before < 254 {
			b = append(b, byte(before))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(before))
		}
		n, err := strconv.ParseInt(e, 10, 64)
		switch {
		case err == nil && n >= 0 && n <= 12:
			b = append(b, 0xf1+byte(n))
		case err == nil && n == int64(int8(n)):
			b = append(b, 0xfe, byte(n))
		case err == nil && n == int64(int16(n)):
			b = binary.LittleEndian.AppendUint16(append(b, 0xc0), uint16(n))
		case err == nil && n >= -1<<23 && n < 1<<23:
			b = append(b, 0xf0, byte(n), byte(n>>8), byte(n>>16))
		case err == nil && n == int64(int32(n)):
			b = binary.LittleEndian.AppendUint32(append(b, 0xd0), uint32(n))
		case err == nil:
			b = binary.LittleEndian.AppendUint64(append(b, 0xe0), uint64(n))
		case len(e) < 1<<6:
			b = append(append(b, byte(len(e))), e...)
		case len(e) < 1<<14:
			b = append(append(b, 0x40|byte(len(e)>>8), byte(len(e))), e...)
		default:
			b = append(binary.BigEndian.AppendUint32(append(b, 0x80), uint32(len(e))), e...)
		}
		before = len(b) - start
	}
	head := binary.LittleEndian.AppendUint32(nil, uint32(10+len(b)+1))
	head = binary.LittleEndian.AppendUint32(head, uint32(last))
	head = binary.LittleEndian.AppendUint16(head, uint16(len(elements)))
	return string(head) + string(b) + "\xff"
}

// zipmap makes one, whose values have free bytes behind them.
func zipmap(free int, pairs ...string) string {
	length := func(s string) string {
		if len(s) < 254 {
			return string([]byte{byte(len(s))})
		}
		return string(binary.LittleEndian.AppendUint32([]byte{254}, uint32(len(s))))
	}
	out := string([]byte{byte(min(len(pairs)/2, 254))})
	for i := 0; i < len(pairs); i += 2 {
		field, value := pairs[i], pairs[i+1]
		out += length(field) + field + length(value) + string([]byte{byte(free)}) + value + strings.Repeat("?", free)
	}
	return out + "\xff"
}

// f64 is a score as newer sorted sets have it.
func f64(f float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)))
}

func fromHex(digits string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// olds are the values of payloads of former versions; the first ones are the examples
// of the format's usual description.
func olds() map[string]string {
	long, huge := strings.Repeat("l", 300), strings.Repeat("h", 20000)
	many := make([]string, 0, 600)
	for i := range 300 {
		many = append(many, fmt.Sprint("f", i), fmt.Sprint(i*i*i*i*i))
	}
	return map[string]string{
		"zipmap/described":  "\x09" + fromHex("18 02 06 4d4b44314736 01 00 32 05 594e4e584b 04 00 46375449 ff"),
		"ziplist/described": "\x0a" + fromHex("23 23000000 1e000000 0400 00 e0ffffffffffffff7f 0a d0ffff0000 06 c0fc3f 04 c03f00 ff"),
		"intset/described":  "\x0b" + fromHex("14 04000000 03000000 fcff0000 fdff0000 feff0000"),
		"zipmap/free":       "\x09" + str(zipmap(3, "a", "1", "", "", "b", long)),
		"zipmap/many":       "\x09" + str(zipmap(0, many...)),
		"list/linked":       "\x01\x04" + str("a") + "\xc0\xff" + "\xc1\x00\x01" + "\xc2\x00\x00\x01\x00",
		"list/ziplist":      "\x0a" + str(ziplist("a", "", "12", "13", "0", "-1", "127", "-128", "128", "32768", "-8388608", "8388608", "2147483648", long, huge, "b")),
		"list/quicklist":    "\x0e\x03" + str(ziplist("a", "1")) + str(ziplist(long)) + str(ziplist("z", "-5")),
		"list/emptynode":    "\x0e\x02" + str(ziplist()) + str(ziplist("a")),
		"set/plain":         "\x02\x03" + str("a") + str("b") + "\xc0\x07",
		"zset/text":         "\x03\x04" + str("a") + "\xfe" + str("b") + "\xff" + str("c") + "\x031.5" + str("d") + "\x18-1.7976931348623157e+308",
		"zset/binary":       "\x05\x02" + str("a") + f64(1.5) + str("b") + f64(math.Inf(1)),
		"zset/ziplist":      "\x0c" + str(ziplist("a", "-inf", "b", "-1.5", "c", "7", "d", "1e+300", "e", "inf")),
		"hash/plain":        "\x04\x02" + str("a") + str("1") + "\xc0\x05" + str(long),
		"hash/ziplist":      "\x0d" + str(ziplist("a", "1", "b", long, "12", "x")),
		// As newer servers write it, but in another order.
		"zset/unsorted": "\x05\x03" + str("a") + f64(3) + str("b") + f64(1) + str("c") + f64(2),
	}
}

func TestOldDumps(t *testing.T) {
	r := commandtest.Redis(t)
	for name, value := range olds() {
		payload := sealed([]byte(value), 5)
		v, err := rdb.Decode(payload, loose)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply := r.Ask("RESTORE", "k", "0", string(payload), "REPLACE"); reply.IsError() {
			t.Errorf("%s: Redis: %s", name, reply.Str)
			continue
		}
		if got, want := show(v), content(r); got != want {
			t.Errorf("%s is\n%s, not\n%s", name, got, want)
		}
	}
}

// Hashes whose fields expire, as Redis had them before 7.4 was released, and with lists
// of them that no test above has.
func TestExpiringForms(t *testing.T) {
	at := func(ms uint64) string { return string(binary.BigEndian.AppendUint64([]byte{0x81}, ms)) }
	soonest := func(ms uint64) string { return string(binary.LittleEndian.AppendUint64(nil, ms)) }
	triple := func(at int64) string {
		element := "\x81a\x02\x81A\x02\xf4" + soonest(uint64(at)) + "\x09"
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(element)+7))
		return str(string(binary.LittleEndian.AppendUint16(head, 3)) + element + "\xff")
	}
	const a, b = "\x01a\x01A", "\x01b\x01B"
	for _, c := range []struct {
		value   string
		version uint16
		want    string
	}{
		{"\x16\x02" + at(5000) + a + "\x00" + b, 12, `hash "a"="A"@5000 "b"="B"@0`},
		{"\x18" + soonest(5000) + "\x03\x01" + a + "\x00" + b + "\x05\x01c\x01C", 12, `hash "a"="A"@5000 "b"="B"@0 "c"="C"@5004`},
		{"\x18" + soonest(1<<63) + "\x01\x00" + a, 12, `hash "a"="A"@0`},
		{"\x17" + triple(5000), 12, `hash "a"="A"@5000`},
		{"\x19" + soonest(5000) + triple(5000), 13, `hash "a"="A"@5000`},
		{"\x16\x03" + a + soonest(5000) + b + soonest(math.MaxUint64) + "\x01c\x01C" + soonest(0), 80, `hash "a"="A"@5000 "b"="B"@0 "c"="C"@1`},
		{"\x16\x02" + a + soonest(5000) + b + soonest(math.MaxUint64), 12, ""},
		{"\x16\x01" + at(1<<63) + a, 12, ""},
		{"\x18" + soonest(math.MaxUint64) + "\x01\x02" + a, 12, ""},
		{"\x18" + soonest(math.MaxInt64) + "\x01\x02" + a, 12, ""},
		{"\x18" + soonest(1) + "\x01" + at(math.MaxUint64) + a, 12, ""},
		{"\x19" + soonest(5000) + triple(-1), 12, ""},
		{"\x19" + soonest(5000) + triple(5000), 80, ""},
		{"\x18" + soonest(5000) + "\x01\x01" + a, 80, ""},
	} {
		v, err := rdb.Decode(sealed([]byte(c.value), c.version), loose)
		switch {
		case c.want == "" && err != rdb.ErrFormat:
			t.Errorf("%q: %v", c.value, err)
		case c.want != "" && (err != nil || show(v) != c.want):
			t.Errorf("%q: %v", c.value, err)
		}
	}
}
