package rdb_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/rdb"
)

// A payload that is cut, or of which a bit is another, is refused: by its checksum.
func TestDamage(t *testing.T) {
	for _, d := range corpus(t) {
		for n := range d.payload {
			if _, err := rdb.Decode(d.payload[:n], loose); err != rdb.ErrChecksum {
				t.Fatalf("%s %s, the first %d bytes: %v", d.server, d.shape, n, err)
			}
		}
		damaged := bytes.Clone(d.payload)
		for n := range damaged {
			damaged[n] ^= 1 << (n % 8)
			if _, err := rdb.Decode(damaged, loose); err != rdb.ErrChecksum {
				t.Fatalf("%s %s, byte %d: %v", d.server, d.shape, n, err)
			}
			damaged[n] ^= 1 << (n % 8)
		}
	}
}

// With a checksum that is right, damage makes another value or an error; what makes a
// value makes one that holds together.
func TestForgery(t *testing.T) {
	for _, d := range corpus(t) {
		value := d.payload[:len(d.payload)-10]
		version := binary.LittleEndian.Uint16(d.payload[len(value):])
		for n := range value {
			if v, err := rdb.Decode(sealed(value[:n], version), loose); err == nil {
				t.Fatalf("%s %s, the first %d bytes are %s", d.server, d.shape, n, show(v))
			}
		}
		for _, extra := range []string{"\x00", "\xff", "\x01a"} {
			if _, err := rdb.Decode(sealed(append(bytes.Clone(value), extra...), version), loose); err != rdb.ErrFormat {
				t.Fatalf("%s %s and %q: %v", d.server, d.shape, extra, err)
			}
		}
		forged := bytes.Clone(value)
		for n := range min(len(forged), 200) {
			for bit := range 8 {
				forged[n] ^= 1 << bit
				if v, err := rdb.Decode(sealed(forged, version), loose); err == nil {
					check(t, v)
				}
				forged[n] ^= 1 << bit
			}
		}
	}
}

// check fails if a value is not what Decode says that it returns.
func check(t *testing.T, v *rdb.Value) {
	t.Helper()
	if v.Kind == rdb.Streams {
		checkStream(t, v.Stream)
		return
	}
	seen := make(map[string]bool)
	for i := range v.Len() {
		name := v.Elements[i]
		switch v.Kind {
		case rdb.Hash:
			var at int64
			if name, _, at = v.Field(i); at < 0 {
				t.Errorf("a field expires at %d", at)
			}
		case rdb.SortedSet:
			if math.IsNaN(v.Scores[i]) {
				t.Error("a score is no number")
			}
		case rdb.String, rdb.List:
			continue
		}
		if seen[string(name)] {
			t.Errorf("%q comes twice", name)
		}
		seen[string(name)] = true
	}
	if v.Len() == 0 || v.ExpireAt != nil && len(v.ExpireAt) != v.Len() || v.Kind == rdb.String && v.Len() != 1 {
		t.Errorf("%+v", v)
	}
}

// What holds bytes together that is not a value.
func TestRefused(t *testing.T) {
	listpack := func(elements ...string) string {
		body := ""
		for _, e := range elements {
			body += string([]byte{0x80 | byte(len(e))}) + e + string([]byte{byte(len(e) + 1)})
		}
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(body)+7))
		return string(binary.LittleEndian.AppendUint16(head, uint16(len(elements)))) + body + "\xff"
	}
	intset := func(numbers ...int16) string {
		b := binary.LittleEndian.AppendUint32([]byte{2, 0, 0, 0}, uint32(len(numbers)))
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint16(b, uint16(n))
		}
		return string(b)
	}
	for name, value := range map[string]string{
		"nothing":                   "",
		"no such type":              "\x08",
		"an empty list":             "\x01\x00",
		"an empty set":              "\x02\x00",
		"an empty hash":             "\x04\x00",
		"an empty sorted set":       "\x05\x00",
		"an empty quicklist":        "\x12\x00",
		"an empty quicklist's node": "\x12\x01\x02" + str(listpack()),
		"an empty ziplist":          "\x0a" + str(ziplist()),
		"an empty zipmap":           "\x09" + str("\x00\xff"),
		"an empty intset":           "\x0b" + str(intset()),
		"an empty listpack":         "\x10" + str(listpack()),
		"a member twice":            "\x02\x03\x01a\x01b\x01a",
		"a member twice, packed":    "\x14" + str(listpack("a", "b", "a")),
		"a number twice":            "\x0b" + str(intset(1, 1)),
		"numbers out of order":      "\x0b" + str(intset(2, 1)),
		"a field twice":             "\x04\x02\x01a\x01b\x01a\x01c",
		"a field twice, packed":     "\x10" + str(listpack("a", "b", "a", "c")),
		"a field twice, zipmap":     "\x09" + str(zipmap(0, "a", "b", "a", "c")),
		"a scored member twice":     "\x05\x02\x01a" + f64(1) + "\x01a" + f64(2),
		"a field without a value":   "\x10" + str(listpack("a", "b", "c")),
		"a score that is none":      "\x05\x01\x01a" + f64(math.NaN()),
		"a score that is no text":   "\x11" + str(listpack("a", "b")),
		"a score in hexadecimals":   "\x11" + str(listpack("a", "0x1p4")),
		"a score that is NaN":       "\x11" + str(listpack("a", "nan")),
		"a score that is NaN, old":  "\x03\x01\x01a\xfd",
		"a score that is empty":     "\x03\x01\x01a\x00",
		"an element that is empty":  "\x12\x01\x01\x00",
		"a node of no kind":         "\x12\x01\x03\x01a",
		"no such form":              "\x00\xc4",
		"more than it can unpack":   "\x00\xc3\x03\x41\x09\x00a\x20",
		"less than it says":         "\x00\xc3\x02\x02\x00a",
		"a length that lies":        "\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa",
		"a count that lies":         "\x02\x80\xff\xff\xff\xff\x01a",
		"a stream of nothing":       "\x0f",
		"a stream's empty node":     "\x0f\x01\x10" + strings.Repeat("\x00", 16) + str(listpack()) + "\x00\x00\x00\x00",
		"a stream of fewer entries": "\x0f\x00\x01\x00\x00\x00",
		"a group twice":             "\x0f\x00\x00\x00\x00\x02\x01g\x00\x00\x00\x00\x01g\x00\x00\x00\x00",
		"pending with nobody":       "\x0f\x00\x00\x00\x00\x01\x01g\x00\x00\x01" + strings.Repeat("\x00", 24) + "\x01\x00",
		"a consumer's that is not":  "\x0f\x00\x00\x00\x00\x01\x01g\x00\x00\x00\x01\x01c" + strings.Repeat("\x00", 8) + "\x01" + strings.Repeat("\x00", 16),
		"a zipmap that says more":   "\x09" + str("\x02\x01a\x01\x00b\xff"),
		"an intset of odd numbers":  "\x0b" + str("\x03\x00\x00\x00\x01\x00\x00\x00abc"),
	} {
		if v, err := rdb.Decode(sealed([]byte(value), 10), loose); err != rdb.ErrFormat {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	for _, kind := range []byte{6, 7} {
		if _, err := rdb.Decode(sealed([]byte{kind, 0}, 10), loose); err != rdb.ErrType {
			t.Errorf("type %d: %v", kind, err)
		}
	}
	for version, want := range map[uint16]error{0: nil, 6: nil, 13: nil, 14: rdb.ErrChecksum, 79: rdb.ErrChecksum, 80: nil, 81: rdb.ErrChecksum} {
		if _, err := rdb.Decode(sealed([]byte("\x00\x01a"), version), loose); err != want {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// What is beyond the limits is refused before it takes memory.
func TestLimits(t *testing.T) {
	// A megabyte that would become 88.
	bomb := "\x00a" + strings.Repeat("\xe0\xff\x00", 1<<20/3)
	unpacked := 1 + 264*(1<<20/3)
	size := func(n int) string { return string(binary.BigEndian.AppendUint32([]byte{0x80}, uint32(n))) }
	packed := "\xc3" + size(len(bomb)) + size(unpacked) + bomb
	for _, c := range []struct {
		value  string
		limits rdb.Limits
		want   error
	}{
		{"\x00" + packed, rdb.Limits{String: unpacked - 1, Total: 2 * unpacked}, rdb.ErrString},
		{"\x00" + packed, rdb.Limits{String: unpacked, Total: unpacked - 1}, rdb.ErrTotal},
		{"\x00" + packed, rdb.Limits{String: unpacked, Total: unpacked + 100}, nil},
		{"\x02\x02\x01a" + packed, rdb.Limits{String: unpacked, Total: unpacked}, rdb.ErrTotal},
		{"\x02\x02\x01a\x01b", rdb.Limits{String: 1, Total: 127}, rdb.ErrTotal},
		{"\x02\x02\x01a\x02bc", rdb.Limits{String: 1, Total: 128}, rdb.ErrString},
		{"\x0b" + str("\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00"), rdb.Limits{String: 1, Total: 127}, rdb.ErrTotal},
		{"\x0d" + str(ziplist("a", "bc")), rdb.Limits{String: 1, Total: 128}, rdb.ErrString},
		{"\x0d" + str(ziplist("a", "b")), rdb.Limits{String: 1, Total: 127}, rdb.ErrTotal},
		{"\x09" + str(zipmap(0, "a", "bc")), rdb.Limits{String: 1, Total: 128}, rdb.ErrString},
		{"\x09" + str(zipmap(0, "a", "b")), rdb.Limits{String: 1, Total: 127}, rdb.ErrTotal},
	} {
		var before, after runtime.MemStats
		payload := sealed([]byte(c.value), 10)
		runtime.ReadMemStats(&before)
		_, err := rdb.Decode(payload, c.limits)
		runtime.ReadMemStats(&after)
		if err != c.want {
			t.Errorf("%.20q within %+v: %v", c.value, c.limits, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(2*c.limits.Total+1<<16) {
			t.Errorf("%.20q within %+v took %d bytes", c.value, c.limits, took)
		}
	}
}

// FuzzDecode: whatever the value, with a checksum that is right, what comes of it holds
// together and stays within bounds, and it is the same when it is written and read
// again.
func FuzzDecode(f *testing.F) {
	for _, d := range corpus(f) {
		value := d.payload[:len(d.payload)-10]
		f.Add(value, binary.LittleEndian.Uint16(d.payload[len(value):]))
	}
	for _, value := range olds() {
		f.Add([]byte(value), uint16(6))
	}
	limits := rdb.Limits{String: 1 << 20, Total: 4 << 20}
	f.Fuzz(func(t *testing.T, value []byte, version uint16) {
		payload := sealed(value, version)
		given, unpacked := bytes.Clone(payload), rdb.Unpacked(payload)
		v, err := rdb.Decode(payload, limits)
		if !bytes.Equal(payload, given) {
			t.Fatal("the payload was changed")
		}
		if err != nil {
			return
		}
		check(t, v)
		if unpacked < 0 || unpacked > limits.Total {
			t.Fatalf("%d bytes were to be unpacked", unpacked)
		}
		again, err := rdb.Decode(encode(v, len(value)%2 == 0), loose)
		if err != nil || show(again) != show(v) {
			t.Fatalf("%s is read as %v, %v", show(v), again, err)
		}
	})
}

// encode writes a value, small or large.
func encode(v *rdb.Value, small bool) []byte {
	switch v.Kind {
	case rdb.String:
		return rdb.EncodeString(v.Elements[0])
	case rdb.List:
		return rdb.EncodeList(slices.Values(v.Elements))
	case rdb.Set:
		return rdb.EncodeSet(v.Len(), false, slices.Values(v.Elements))
	case rdb.SortedSet:
		return rdb.EncodeSortedSet(v.Len(), small, func(yield func([]byte, float64) bool) {
			for i := range v.Len() {
				if !yield(v.Member(i)) {
					return
				}
			}
		})
	case rdb.Streams:
		return encodeStream(v.Stream)
	default:
		soonest := int64(0)
		for _, at := range v.ExpireAt {
			if at != 0 && (soonest == 0 || at < soonest) {
				soonest = at
			}
		}
		return rdb.EncodeHash(v.Len(), small, soonest, func(yield func(rdb.Field) bool) {
			for i := range v.Len() {
				name, value, at := v.Field(i)
				if !yield(rdb.Field{Name: name, Value: value, ExpireAt: at}) {
					return
				}
			}
		})
	}
}

func encodeStream(s *rdb.Stream) []byte {
	length, first := int64(0), rdb.StreamID{}
	for _, n := range s.Nodes {
		if length == 0 {
			first = n.Entries[0].ID
		}
		length += int64(len(n.Entries))
	}
	return rdb.EncodeStream(s, length, first, int64(len(s.Nodes)), func(yield func(*rdb.StreamNode) bool) {
		for i := range s.Nodes {
			if !yield(&s.Nodes[i]) {
				return
			}
		}
	})
}

// checkStream fails if a stream is not what Decode says.
func checkStream(t *testing.T, s *rdb.Stream) {
	t.Helper()
	last := rdb.StreamID{}
	for _, n := range s.Nodes {
		if len(n.Entries) == 0 {
			t.Error("a node without entries")
		}
		for i, e := range n.Entries {
			if before := e.ID.MS < last.MS || e.ID.MS == last.MS && e.ID.Seq <= last.Seq; before && (i > 0 || last != rdb.StreamID{}) || len(e.Texts)%2 != 0 {
				t.Errorf("%v behind %v, %d texts", e.ID, last, len(e.Texts))
			}
			last = e.ID
		}
	}
	names := make(map[string]bool)
	for _, g := range s.Groups {
		pending := make(map[rdb.StreamID]bool)
		for _, c := range g.Consumers {
			for _, p := range c.Pending {
				if pending[p.ID] {
					t.Errorf("%v is pending twice", p.ID)
				}
				pending[p.ID] = true
			}
		}
		if names[string(g.Name)] {
			t.Errorf("group %q comes twice", g.Name)
		}
		names[string(g.Name)] = true
	}
}

// What is said of compressed strings beforehand is what Decode makes of them: within
// exactly that, and the elements' own, it does its work.
func TestUnpacked(t *testing.T) {
	const perElement = 64
	seen := 0
	try := func(name string, payload []byte) {
		v, err := rdb.Decode(payload, loose)
		if err != nil {
			t.Fatal(err)
		}
		elements := len(v.Elements)
		switch payload[0] { // those whose times and scores are elements of a listpack
		case 12, 17:
			elements *= 2
		case 23, 25:
			elements += elements / 2
		}
		total, unpacked := elements*perElement, rdb.Unpacked(payload)
		if unpacked > 0 {
			seen++
		}
		if _, err := rdb.Decode(payload, rdb.Limits{String: 1 << 20, Total: total + unpacked}); err != nil {
			t.Errorf("%s: %d is not enough: %v", name, unpacked, err)
		}
		if _, err := rdb.Decode(payload, rdb.Limits{String: 1 << 20, Total: total + unpacked - 1}); err != rdb.ErrTotal {
			t.Errorf("%s: %d is too much: %v", name, unpacked, err)
		}
	}
	for _, d := range corpus(t) {
		if !strings.HasPrefix(d.shape, "stream/") { // what they are made of is counted otherwise
			try(d.server+" "+d.shape, d.payload)
		}
	}
	for name, value := range olds() {
		try(name, sealed([]byte(value), 6))
	}
	if seen < 20 {
		t.Errorf("only %d values have compressed strings", seen)
	}
}
