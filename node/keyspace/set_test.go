package keyspace

import (
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strconv"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// checkSetView compares all that a view shows of a set with a model.
func checkSetView(t *testing.T, rng *rand.Rand, s SetView, want map[string]bool) {
	t.Helper()
	if s.Len() != int64(len(want)) {
		t.Fatalf("Len %d, want %d; %v", s.Len(), len(want), s.view.Err())
	}
	var members []string
	for member := range s.Members() {
		if at := s.At(int64(len(members))); string(at) != string(member) || at == nil {
			t.Fatalf("At(%d) is %q, want %q", len(members), at, member)
		}
		members = append(members, string(member))
	}
	if s.At(-1) != nil || s.At(s.Len()) != nil {
		t.Fatal("there is something before or behind the set")
	}
	if s.Encoding() == "intset" && !slices.IsSortedFunc(members, byNumber) {
		t.Fatalf("integers are not in order: %q", members)
	}
	seen, cursor := []string(nil), uint64(0)
	for first := true; first || cursor != 0; first = false {
		cursor = s.Scan(cursor, 1+rng.Intn(9), func(member []byte) { seen = append(seen, string(member)) })
	}
	sorted := slices.Sorted(maps.Keys(want))
	for name, got := range map[string][]string{"Members": members, "Scan": seen} {
		if slices.Sort(got); !slices.Equal(got, sorted) {
			t.Fatalf("%s shows %q, want %q", name, got, sorted)
		}
	}
	for _, member := range []string{"no member", "", "0", "-1", "70000", "01", "99999999999999999999"} {
		if s.Has([]byte(member)) != want[member] {
			t.Fatalf("Has(%q)", member)
		}
	}
	for member := range want {
		if !s.Has([]byte(member)) {
			t.Fatalf("%q is missing", member)
		}
	}
}

func byNumber(a, b string) int {
	x, _ := strconv.ParseInt(a, 10, 64)
	y, _ := strconv.ParseInt(b, 10, 64)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

// aMember returns an integer of any size, or, of words sets, something else now
// and then.
func aMember(rng *rand.Rand, words bool) string {
	switch rng.Intn(6) {
	case 0:
		return fmt.Sprint(int64(rng.Uint64()) >> (rng.Intn(4) * 16) / 7 * 7)
	case 1:
		if words {
			return typedName(rng) + "x"
		}
	}
	return fmt.Sprint(rng.Intn(40) - 10)
}

func (m *typedModel) stepSet(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	v := m.value(name)
	s, err := tx.Set([]byte(name))
	if wrong := v != nil && v.members == nil; wrong != errors.Is(err, ErrWrongType) || wrong {
		if !wrong {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if v == nil {
		v = &typedValue{members: make(map[string]bool)}
	}
	m.keys[name] = v
	words := rng.Intn(2) == 0
	for range 1 + rng.Intn(6) {
		member := aMember(rng, words)
		several := [][]byte{[]byte(member)}
		for range rng.Intn(3) * rng.Intn(6) {
			several = append(several, []byte(aMember(rng, words)))
		}
		before := int64(len(v.members))
		switch rng.Intn(12) {
		case 0, 1, 2:
			for _, member := range several {
				delete(v.members, string(member))
			}
			if n := s.Delete(several...); n != before-int64(len(v.members)) {
				t.Fatalf("Delete(%q) = %d", several, n)
			}
		case 3:
			v.members = make(map[string]bool)
			for range rng.Intn(30) {
				v.members[aMember(rng, words)] = true
			}
			s.Fill(shuffled(rng, v.members))
		case 4:
			kept := shuffled(rng, v.members)
			kept = kept[:rng.Intn(len(kept)+1)]
			s.Keep(kept)
			v.members = make(map[string]bool)
			for _, member := range kept {
				v.members[string(member)] = true
			}
		default:
			for _, member := range several {
				v.members[string(member)] = true
			}
			if n := s.Add(several...); n != int64(len(v.members))-before {
				t.Fatalf("Add(%q) = %d", several, n)
			}
		}
		if len(v.members) == 0 {
			v.expireAt = 0 // the key is gone, and what is added next is another
		}
	}
	checkSetView(t, rng, s.SetView, v.members)
}

// shuffled returns members in an order that rng alone decides.
func shuffled(rng *rand.Rand, members map[string]bool) [][]byte {
	var list [][]byte
	for _, member := range slices.Sorted(maps.Keys(members)) {
		list = append(list, []byte(member))
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// Redis 7.2's encodings, and its order of few members.
func TestSetEncodings(t *testing.T) {
	integers := func(n int) (members [][]byte) {
		for i := range n {
			members = append(members, fmt.Append(nil, i))
		}
		return members
	}
	words := func(n int) (members [][]byte) {
		for i := range n {
			members = append(members, fmt.Append(nil, "m", i))
		}
		return members
	}
	add := func(members ...[]byte) func(*Set) {
		return func(s *Set) {
			for _, member := range members {
				s.Add(member)
			}
		}
	}
	expect := func(members ...[]byte) func(*Set) {
		return func(s *Set) {
			s.Expect(len(members))
			s.Add(members...)
		}
	}
	long := make([]byte, largeElement+1)
	for _, c := range []struct {
		name  string
		steps []func(*Set)
		want  string
	}{
		{"512 integers", []func(*Set){add(integers(512)...)}, "intset"},
		{"513 integers", []func(*Set){add(integers(513)...)}, "hashtable"},
		{"600 integers at once", []func(*Set){expect(integers(600)...)}, "hashtable"},
		{"512 integers at once", []func(*Set){expect(integers(512)...)}, "intset"},
		{"127 integers and a word", []func(*Set){add(integers(127)...), add([]byte("a"))}, "listpack"},
		{"128 integers and a word", []func(*Set){add(integers(128)...), add([]byte("a"))}, "hashtable"},
		{"an integer and a long word", []func(*Set){add(integers(1)...), add(long)}, "hashtable"},
		{"a word, then integers", []func(*Set){add([]byte("a")), add(integers(127)...)}, "listpack"},
		{"a word that goes again", []func(*Set){add([]byte("a")), add(integers(9)...), func(s *Set) { s.Delete([]byte("a")) }}, "listpack"},
		{"128 words", []func(*Set){add(words(128)...)}, "listpack"},
		{"129 words", []func(*Set){add(words(129)...)}, "hashtable"},
		{"129 times one word at once", []func(*Set){expect(slices.Repeat(words(1), 129)...)}, "hashtable"},
		{"a long word", []func(*Set){add(long)}, "hashtable"},
		{"a word of 64 bytes", []func(*Set){add(long[1:])}, "listpack"},
		{"filled with integers", []func(*Set){add(words(200)...), func(s *Set) { s.Fill(integers(500)) }}, "intset"},
		{"filled with words", []func(*Set){add(words(200)...), func(s *Set) { s.Fill(words(128)) }}, "listpack"},
		{"filled with many words", []func(*Set){func(s *Set) { s.Fill(words(129)) }}, "hashtable"},
		{"few integers kept of many", []func(*Set){add(integers(600)...), func(s *Set) { s.Keep(integers(50)) }}, "listpack"},
		{"few integers kept of an intset", []func(*Set){add(integers(500)...), func(s *Set) { s.Keep(integers(50)) }}, "intset"},
		{"a long word kept", []func(*Set){add(words(200)...), add(long), func(s *Set) { s.Keep([][]byte{long}) }}, "hashtable"},
	} {
		ks := open(t, storage.NewMemory())
		write(t, ks, 1, 1000, func(tx *Tx) {
			s, _ := tx.Set([]byte("s"))
			for _, step := range c.steps {
				step(s)
			}
			if s.Encoding() != c.want {
				t.Errorf("%s: %s, want %s", c.name, s.Encoding(), c.want)
			}
		})
		checkInvariants(t, ks)
	}
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1000, func(tx *Tx) {
		s, _ := tx.Set([]byte("s"))
		for _, member := range []string{"3", "-1", "9223372036854775807", "70000", "b", "-5", "a"} {
			s.Add([]byte(member))
		}
		if got := fmt.Sprintf("%s", slices.Collect(s.Members())); got != "[-1 3 70000 9223372036854775807 b -5 a]" {
			t.Errorf("in the order %s", got)
		}
	})
}
