package rdb

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// loose are limits that no test meets by mistake.
var loose = Limits{String: 64 << 20, Total: 256 << 20}

// TestChecksum is that of Redis's own test of it.
func TestChecksum(t *testing.T) {
	if sum := checksum([]byte("123456789")); sum != 0xe9c6d914c4b8d9ca {
		t.Errorf("%x", sum)
	}
}

// Compressed strings come back, whatever is in them, and those that repeat get shorter.
func TestLZF(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var c compressor
	for round := range 2000 {
		alphabet := 1 + rnd.IntN(1<<rnd.IntN(9))
		src := make([]byte, rnd.IntN(1<<rnd.IntN(16)))
		for i := range src {
			src[i] = byte(rnd.IntN(alphabet))
		}
		packed, ok := c.compress(nil, src, math.MaxInt)
		if !ok {
			t.Fatalf("round %d: not compressed", round)
		}
		if len(src) > 100 && alphabet == 1 && len(packed) > len(src)/40+8 {
			t.Errorf("round %d: %d equal bytes became %d", round, len(src), len(packed))
		}
		got, ok := decompress(packed, len(src))
		if !ok || !bytes.Equal(got, src) {
			t.Fatalf("round %d: %q became %q", round, src, got)
		}
		if _, ok := decompress(packed, len(src)+1); ok {
			t.Fatalf("round %d: a length that is too large is taken", round)
		}
		if short, ok := c.compress(nil, src, len(packed)-1); ok || len(short) > 0 {
			t.Fatalf("round %d: more than the limit", round)
		}
	}
}

// What Redis makes of these forms, a reference that reaches into itself among them.
func TestDecompress(t *testing.T) {
	for _, c := range []struct {
		packed, want string
		n            int
	}{
		{"\x02abc", "abc", 3},
		{"\x00a\x20\x00", "aaaa", 4},
		{"\x00a\xe0\x02\x00", "aaaaaaaaaaaa", 12},
		{"\x02abc\x40\x02", "abcabca", 7},
		{"", "", 0},
	} {
		if got, ok := decompress([]byte(c.packed), c.n); !ok || string(got) != c.want {
			t.Errorf("%q: %q, %v", c.packed, got, ok)
		}
	}
	for packed, n := range map[string]int{
		"\x02ab": 3, "\x02abc": 2, "\x20\x00": 3, "\x00a\x20\x01": 4, "\x00a\xe0": 8, "\x00a\x20": 4, "\x00a\xe0\x01": 11, "\x00a\x20\x00 ": 4,
	} {
		if got, ok := decompress([]byte(packed), n); ok {
			t.Errorf("%q is %q", packed, got)
		}
	}
}

// Every number and length in a listpack comes back, and takes the bytes that Redis
// gives it.
func TestListpack(t *testing.T) {
	sizes := map[int64]int{
		0: 1, 127: 1, 128: 2, -1: 2, 4095: 2, -4096: 2, 4096: 3, -4097: 3, 32767: 3, -32768: 3, 32768: 4, 1<<23 - 1: 4, -1 << 23: 4,
		1 << 23: 5, math.MaxInt32: 5, math.MinInt32: 5, math.MaxInt32 + 1: 9, math.MinInt64: 9, math.MaxInt64: 9,
	}
	var w listpackWriter
	var want []string
	r := reader{limits: loose}
	for n, size := range sizes {
		before := max(len(w.b), listpackHead)
		w.addInt(n)
		want = append(want, string(r.number(n)))
		if got := len(w.b) - before - 1; got != size {
			t.Errorf("%d takes %d bytes, not %d", n, got, size)
		}
	}
	for _, size := range []int{0, 1, 63, 64, 126, 127, 128, 4095, 4096, 16382, 16383, 16384, 2 << 20} {
		text := strings.Repeat("x", size)
		w.add([]byte(text))
		want = append(want, text)
	}
	for _, text := range []string{"-0", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1e3"} {
		w.add([]byte(text))
		want = append(want, text)
	}
	var e encoder
	e.blob(w.bytes())
	r.rest = e.out
	got := r.listpack(nil)
	if r.err != nil || len(got) != len(want) {
		t.Fatalf("%d elements, %v", len(got), r.err)
	}
	for i := range got {
		if string(got[i]) != want[i] {
			t.Errorf("element %d is %.40q, not %.40q", i, got[i], want[i])
		}
	}
}

// Lengths, each in the shortest form, come back; so do longer forms.
func TestLength(t *testing.T) {
	for _, n := range []uint64{0, 63, 64, 1<<14 - 1, 1 << 14, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		var e encoder
		e.length(n)
		for _, form := range [][]byte{e.out, binary.BigEndian.AppendUint64([]byte{0x81}, n)} {
			r := reader{rest: form}
			if got := r.length(); got != n || r.err != nil || len(r.rest) > 0 {
				t.Errorf("%d as %x: %d, %v", n, form, got, r.err)
			}
		}
	}
	for _, form := range []string{"", "\x40", "\x80\x00\x00\x00", "\x81", "\x82\x00\x00\x00\x00", "\xc0\x01"} {
		r := reader{rest: []byte(form)}
		if r.length(); r.err == nil {
			t.Errorf("%x is a length", form)
		}
	}
}

func TestDistinct(t *testing.T) {
	var elements [][]byte
	for i := range 1000 {
		elements = append(elements, binary.BigEndian.AppendUint16(nil, uint16(i)), []byte("value"))
	}
	if !distinct(elements, 2) || distinct(elements, 1) {
		t.Error("wrong")
	}
	elements[1000] = elements[0]
	if distinct(elements, 2) {
		t.Error("the field that comes twice is not seen")
	}
}
