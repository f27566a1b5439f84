package streams

import (
	"bytes"
	"math"
	"testing"

	"github.com/genuineh/aikv/node/keyspace"
)

// TestParseID: as Redis reads ids, strtoull and all.
func TestParseID(t *testing.T) {
	const most = math.MaxUint64
	for text, want := range map[string]keyspace.StreamID{
		"0": {}, "5": {MS: 5, Seq: 7}, "5-0": {MS: 5}, "5-6": {MS: 5, Seq: 6}, "01-02": {MS: 1, Seq: 2}, " 1-+2": {MS: 1, Seq: 2},
		"18446744073709551615-18446744073709551615": keyspace.MaxStreamID, "1--01": {MS: 1, Seq: most}, "5-6\x00x": {MS: 5, Seq: 6},
	} {
		if text == "0" {
			want.Seq = 7
		}
		if got, err := parseID([]byte(text), 7); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-", "+", "x", "1-", "-1", "1-x", "1-2-3", "1--1", "1-*", "*", "18446744073709551616", "1-18446744073709551616", "1 ", "1_0", "0x1",
		string(bytes.Repeat([]byte("0"), 128)),
	} {
		if got, err := parseID([]byte(text), 7); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if id, auto, err := parseNewID([]byte("5-*"), 7); err != nil || !auto || id.MS != 5 {
		t.Errorf("%v, %v, %v", id, auto, err)
	}
}

// FuzzID: what is read as an id is written as one that reads the same, and bounds are not
// beyond each other.
func FuzzID(f *testing.F) {
	for _, text := range []string{"1-1", "(5-0", "-", "+", "1-*", " 7", "1--01", "18446744073709551615-18446744073709551615"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		id, err := parseID(text, 3)
		if err == nil {
			if again, err := parseID(id.Append(nil), 3); err != nil || again != id {
				t.Fatalf("%q is %v, and that is %v, %v", text, id, again, err)
			}
		}
		from, errFrom := parseStart(text)
		to, errTo := parseEnd(text)
		if exclusive := len(text) > 1 && text[0] == '('; errFrom == nil && errTo == nil && (from.Compare(to) > 0) != exclusive && from != to {
			t.Fatalf("%q is from %v to %v", text, from, to)
		}
		if !bytes.Equal(text, given) {
			t.Fatal("the argument was changed")
		}
	})
}
