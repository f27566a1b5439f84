package keyspace

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// checkList compares what a list shows with the model.
func checkList(t *testing.T, rng *rand.Rand, l ListView, want []string) {
	t.Helper()
	if l.Len() != int64(len(want)) {
		t.Fatalf("Len %d, want %d; %v", l.Len(), len(want), l.view.Err())
	}
	from, reverse := rng.Intn(len(want)+2)-1, rng.Intn(2) == 0
	there := from >= 0 && from < len(want)
	var expected, got []string
	if there {
		if expected = slices.Clone(want[from:]); reverse {
			expected = slices.Clone(want[:from+1])
			slices.Reverse(expected)
		}
	}
	for element := range l.From(int64(from), reverse) {
		got = append(got, string(element))
	}
	if !slices.Equal(got, expected) {
		t.Fatalf("From(%d, %v) yields %.20q, want %.20q", from, reverse, got, expected)
	}
	if element, ok := l.At(int64(from)); ok != there || there && string(element) != want[from] {
		t.Fatalf("At(%d) is %.20q, %v", from, element, ok)
	}
	packed := int64(0)
	for _, element := range want {
		packed += packedSize([]byte(element))
	}
	if l.packed() != packed {
		t.Fatalf("the size as a listpack is told to be %d, and is %d", l.packed(), packed)
	}
}

func typedElement(rng *rand.Rand) string {
	if rng.Intn(40) == 0 {
		return strings.Repeat("x", rng.Intn(300))
	}
	return fmt.Sprint(rng.Intn(40))
}

func typedElements(rng *rand.Rand) (texts []string, elements [][]byte) {
	for range rng.Intn(8) {
		text := typedElement(rng)
		texts, elements = append(texts, text), append(elements, []byte(text))
	}
	return texts, elements
}

func (m *typedModel) stepList(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	v := m.value(name)
	l, err := tx.List([]byte(name))
	if wrong := v != nil && v.elements == nil; wrong != errors.Is(err, ErrWrongType) || wrong {
		if !wrong {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if v == nil {
		v = &typedValue{elements: []string{}}
	}
	m.keys[name] = v
	for range 1 + rng.Intn(4) {
		v.elements = changeList(t, rng, l, v.elements)
		if len(v.elements) == 0 {
			v.expireAt = 0 // the key is gone, and what is put there next is another
		}
	}
	checkList(t, rng, l.ListView, v.elements)
}

// changeList does one random change on a list and on what it should hold, which it
// returns.
func changeList(t *testing.T, rng *rand.Rand, l *List, want []string) []string {
	t.Helper()
	element := typedElement(rng)
	position := rng.Intn(len(want)+3) - 1
	from, to := rng.Intn(len(want)+3)-1, rng.Intn(len(want)+3)-1
	first, end := min(max(from, 0), len(want)), min(max(to, 0), len(want))
	end = max(first, end)
	switch op := rng.Intn(14); op {
	case 0, 1, 2:
		texts, elements := typedElements(rng)
		l.PushFront(elements...)
		slices.Reverse(texts)
		return append(texts, want...)
	case 3, 4, 5:
		texts, elements := typedElements(rng)
		l.PushBack(elements...)
		return append(want, texts...)
	case 6, 7:
		inserted := l.Insert(int64(position), []byte(element))
		if inserted != (position >= 0 && position <= len(want)) {
			t.Fatalf("Insert at %d of %d: %v", position, len(want), inserted)
		}
		if inserted {
			return slices.Insert(want, position, element)
		}
	case 8:
		set := l.Set(int64(position), []byte(element))
		if set != (position >= 0 && position < len(want)) {
			t.Fatalf("Set at %d of %d: %v", position, len(want), set)
		}
		if set {
			want[position] = element
		}
	case 9, 10:
		if op == 9 && to > from+3 { // else few are ever left
			to, end = from+3, min(max(from+3, 0), len(want))
		}
		if n := l.DeleteRange(int64(from), int64(to)); n != int64(end-first) {
			t.Fatalf("DeleteRange(%d, %d) of %d: %d", from, to, len(want), n)
		}
		return slices.Delete(want, first, end)
	case 11:
		if n := l.Trim(int64(from), int64(to)); n != int64(len(want)-(end-first)) {
			t.Fatalf("Trim(%d, %d) of %d: %d", from, to, len(want), n)
		}
		return want[first:end]
	default:
		var gone []int64
		kept, one := want[:0:0], 2+rng.Intn(20)
		for i, element := range want {
			if rng.Intn(one) == 0 {
				gone = append(gone, int64(i))
			} else {
				kept = append(kept, element)
			}
		}
		l.Delete(gone...)
		return kept
	}
	return want
}

// TestListModel runs random changes on one list, which becomes long at times, with
// pages of all sizes.
func TestListModel(t *testing.T) {
	for seed := range int64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			opts := Options{Group: 7, pageSize: 64 << seed, inlineLimit: 16 << seed}
			ks, err := Open(storage.NewMemory(), opts)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for i := range 300 {
				write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
					l, err := tx.List([]byte("l"))
					if err != nil {
						t.Fatal(err)
					}
					if i%50 == 0 { // for what is done to many
						for range 300 {
							texts, elements := typedElements(rng)
							l.PushBack(elements...)
							want = append(want, texts...)
						}
					}
					want = changeList(t, rng, l, want)
					if tx.Err() != nil {
						t.Fatal(tx.Err())
					}
				})
				view := ks.View(0)
				l, _, _ := view.List([]byte("l"))
				checkList(t, rng, l, want)
				view.Close()
				if i%10 == 0 {
					checkpoint(t, ks)
					sweep(t, ks)
					checkInvariants(t, ks)
				}
			}
			checkpoint(t, ks)
			sweep(t, ks)
			each(t, ks, classRemains, func(key, _ []byte) { t.Errorf("remains of %x are left", key) })
		})
	}
}

// TestListEncoding: a list is a listpack up to 8 kB, and again when it has shrunk to
// half of that.
func TestListEncoding(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1000, func(tx *Tx) {
		l, _ := tx.List([]byte("l"))
		is := func(want string) {
			t.Helper()
			if l.Encoding() != want || l.rec.meta.Encoding() != want {
				t.Errorf("%d elements of %d bytes: %s", l.Len(), l.packed(), l.Encoding())
			}
		}
		element := make([]byte, 97) // 100 in a listpack
		for range 81 {
			l.PushBack(element)
		}
		is("listpack")
		l.PushFront(make([]byte, 82)) // 8192, with 7 for the frame
		is("listpack")
		l.PushBack([]byte{})
		is("listpack")
		l.PushBack([]byte("1"))
		is("quicklist")
		l.Trim(1, 42)
		is("quicklist")
		l.DeleteRange(40, 41)
		is("listpack")
		l.Set(0, make([]byte, 8000))
		is("quicklist")
		l.Set(0, nil)
		is("listpack")
	})
}

// TestPackedSize: what a listpack needs for an element.
func TestPackedSize(t *testing.T) {
	for element, want := range map[string]int64{
		"": 2, "a": 3, "0": 2, "127": 2, "128": 3, "-1": 3, "4095": 3, "-4096": 3, "4096": 4, "-4097": 4, "32767": 4,
		"32768": 5, "-8388608": 5, "8388608": 6, "2147483647": 6, "2147483648": 10, "-9223372036854775808": 10,
		"9223372036854775808": 21, "01": 4, "-0": 4, "+1": 4, "1_0": 5,
		strings.Repeat("a", 63): 65, strings.Repeat("a", 64): 67, strings.Repeat("a", 125): 128, strings.Repeat("a", 126): 130,
		strings.Repeat("a", 4095): 4099, strings.Repeat("a", 4096): 4103,
	} {
		if got := packedSize([]byte(element)); got != want {
			t.Errorf("%.30q takes %d bytes, not %d", element, got, want)
		}
	}
}

// TestListWriteCost: a change costs what it adds, not what is there: the pages of one
// path to an element, and one more where a page falls in two.
func TestListWriteCost(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) {
		l, _ := tx.List([]byte("l"))
		for i := range 100_000 {
			l.PushBack(fmt.Append(nil, i))
		}
	})
	pages := func() map[string]string {
		found := make(map[string]string)
		each(t, ks, classPage, func(key, value []byte) { found[string(key)] = string(value) })
		return found
	}
	const height = 3
	for name, change := range map[string]func(l *List){
		"PushFront":   func(l *List) { l.PushFront([]byte("x")) },
		"PushBack":    func(l *List) { l.PushBack([]byte("x")) },
		"Insert":      func(l *List) { l.Insert(50_000, []byte("x")) },
		"Set":         func(l *List) { l.Set(50_000, []byte("y")) },
		"DeleteRange": func(l *List) { l.DeleteRange(50_000, 50_001) },
	} {
		before := pages()
		write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
			l, _ := tx.List([]byte("l"))
			change(l)
		})
		changed := 0
		for key, page := range pages() {
			if before[key] != page {
				changed++
			}
		}
		if changed == 0 || changed > height+1 {
			t.Errorf("%s writes %d pages", name, changed)
		}
	}
}

// TestListVersions: every change gives the key a version of its own, also where the
// elements are what they were.
func TestListVersions(t *testing.T) {
	for name, open := range map[string]func(testing.TB, storage.Store) *Keyspace{"inline": openUsual, "paged": openTiny} {
		ks := open(t, storage.NewMemory())
		key, element := []byte("l"), []byte("some element")
		last := Version{}
		for i, change := range []func(l *List){
			func(l *List) { l.PushBack(element, element, element, element) },
			func(l *List) { l.PushFront(element) },
			func(l *List) { l.Set(0, element) },
			func(l *List) { l.Insert(1, element) },
			func(l *List) { l.DeleteRange(5, 6) },
			func(l *List) { l.Delete(0) },
			func(l *List) { l.Trim(1, 3) },
		} {
			write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
				l, _ := tx.List(key)
				if i > 0 {
					l.PushBack(element, element)
				}
				before, _ := tx.View.Lookup(key)
				if change(l); tx.Err() != nil {
					t.Fatal(tx.Err())
				}
				meta, _ := tx.View.Lookup(key)
				if meta.Version == before.Version || meta.Version == last {
					t.Errorf("%s, change %d: the version stays %v", name, i, meta.Version)
				}
				last = meta.Version
			})
		}
	}
}

// TestListDigest: two lists that differ in one element have other digests, in pages too.
func TestListDigest(t *testing.T) {
	digest := func(open func(testing.TB, storage.Store) *Keyspace, one string) string {
		ks := open(t, storage.NewMemory())
		write(t, ks, 1, 1, func(tx *Tx) {
			l, _ := tx.List([]byte("l"))
			for i := range 300 {
				element := fmt.Append(nil, 1000+i)
				if i == 177 {
					element = []byte(one)
				}
				l.PushBack(element)
			}
		})
		view := ks.View(0)
		defer view.Close()
		var b strings.Builder
		if err := view.Digest(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, open := range map[string]func(testing.TB, storage.Store) *Keyspace{"inline": openUsual, "paged": openTiny} {
		one, again, other := digest(open, "abcd"), digest(open, "abcd"), digest(open, "abce")
		if one != again || one == other {
			t.Errorf("%s: the digest does not show an element", name)
		}
	}
}
