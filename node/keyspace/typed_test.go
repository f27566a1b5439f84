package keyspace

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"reflect"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// typedValue is what a key should hold: exactly one of its values is not nil.
type typedValue struct {
	text     *string
	fields   map[string]typedField
	members  map[string]bool
	scores   map[string]float64
	elements []string
	stream   *streamModel
	expireAt int64
}

type typedField struct {
	value    string
	expireAt int64
}

// typedModel is what a keyspace should hold, as plain maps.
type typedModel struct {
	keys    map[string]*typedValue
	applied uint64
	clock   int64
}

func (m *typedModel) clone() *typedModel {
	c := &typedModel{make(map[string]*typedValue), m.applied, m.clock}
	for key, v := range m.keys {
		c.keys[key] = v.clone()
	}
	return c
}

func (v *typedValue) clone() *typedValue {
	c := *v
	c.fields, c.members, c.scores = maps.Clone(v.fields), maps.Clone(v.members), maps.Clone(v.scores)
	c.elements = slices.Clone(v.elements)
	c.stream = v.stream.clone()
	return &c
}

// value returns what is live of a key, nil if nothing is.
func (m *typedModel) value(key string) *typedValue {
	v := m.keys[key]
	if v == nil || v.expireAt != 0 && v.expireAt <= m.clock {
		return nil
	}
	v = v.clone()
	if v.fields != nil {
		maps.DeleteFunc(v.fields, func(_ string, f typedField) bool { return f.expireAt != 0 && f.expireAt <= m.clock })
	}
	if v.text == nil && v.stream == nil && len(v.fields)+len(v.members)+len(v.scores)+len(v.elements) == 0 {
		return nil
	}
	return v
}

// live counts the live keys.
func (m *typedModel) live() (n int64) {
	for key := range m.keys {
		if m.value(key) != nil {
			n++
		}
	}
	return n
}

// inOrder returns a sorted set's members in order.
func (v *typedValue) inOrder() []string {
	return slices.SortedFunc(maps.Keys(v.scores), func(a, b string) int {
		return cmp.Or(cmp.Compare(v.scores[a], v.scores[b]), cmp.Compare(a, b))
	})
}

// check compares all that a view shows of every key with the model.
func (m *typedModel) check(t *testing.T, rng *rand.Rand, v *View) {
	t.Helper()
	for i := range typedKeys {
		key := typedKey(i)
		want := m.value(key)
		meta, ok := v.Lookup([]byte(key))
		if ok != (want != nil) || ok && meta.ExpireAt != want.expireAt {
			t.Fatalf("%s: there %v, %+v; want %+v", key, ok, meta, want)
		}
		h, isHash, hashErr := v.Hash([]byte(key))
		s, isSet, setErr := v.Set([]byte(key))
		z, isSorted, sortedErr := v.SortedSet([]byte(key))
		l, isList, listErr := v.List([]byte(key))
		x, isStream, streamErr := v.Stream([]byte(key))
		wrong := 0 // types that it has not
		for _, err := range []error{hashErr, setErr, sortedErr, listErr, streamErr} {
			if errors.Is(err, ErrWrongType) {
				wrong++
			}
		}
		switch {
		case want == nil:
			if isHash || isSet || isSorted || isList || isStream || wrong != 0 || h.Len()+s.Len()+z.Len()+l.Len()+x.Len() != 0 {
				t.Fatalf("%s: something of an absent key", key)
			}
		case want.fields != nil:
			if !isHash || meta.Type != TypeHash || wrong != 4 || meta.Encoding() != h.Encoding() {
				t.Fatalf("%s is no hash: %v", key, hashErr)
			}
			checkHash(t, rng, h, want.fields)
		case want.members != nil:
			if !isSet || meta.Type != TypeSet || wrong != 4 || meta.Encoding() != s.Encoding() {
				t.Fatalf("%s is no set: %v", key, setErr)
			}
			checkSetView(t, rng, s, want.members)
		case want.scores != nil:
			if !isSorted || meta.Type != TypeSortedSet || wrong != 4 || meta.Encoding() != z.Encoding() {
				t.Fatalf("%s is no sorted set: %v", key, sortedErr)
			}
			checkSortedSet(t, rng, z, want)
		case want.elements != nil:
			if !isList || meta.Type != TypeList || wrong != 4 || meta.Encoding() != l.Encoding() {
				t.Fatalf("%s is no list: %v", key, listErr)
			}
			checkList(t, rng, l, want.elements)
		case want.stream != nil:
			if !isStream || meta.Type != TypeStream || wrong != 4 || meta.Encoding() != "stream" {
				t.Fatalf("%s is no stream: %v", key, streamErr)
			}
			checkStream(t, rng, x, want.stream)
		default:
			if string(meta.Value) != *want.text || wrong != 5 {
				t.Fatalf("%s: %q, want %q", key, meta.Value, *want.text)
			}
		}
	}
	live := int64(0)
	v.Each(func(key []byte, _ Meta) bool {
		if slot.Of(key) == slot.Of([]byte(typedKey(0))) {
			live++
		}
		return true
	})
	if live != m.live() || v.Err() != nil {
		t.Fatalf("%d keys, want %d; error %v", live, m.live(), v.Err())
	}
}

func checkHash(t *testing.T, rng *rand.Rand, h HashView, want map[string]typedField) {
	t.Helper()
	if h.Len() != int64(len(want)) {
		t.Fatalf("Len %d, want %d; %v", h.Len(), len(want), h.view.Err())
	}
	position := int64(0)
	h.Each(func(field, value []byte, expireAt int64) bool {
		if f, ok := want[string(field)]; !ok || f != (typedField{string(value), expireAt}) {
			t.Fatalf("field %s: %s, expires at %d; want %+v", field, value, expireAt, f)
		}
		if f, v := h.At(position); !bytes.Equal(f, field) || !bytes.Equal(v, value) {
			t.Fatalf("At(%d) is %s %s, want %s %s", position, f, v, field, value)
		}
		position++
		return true
	})
	if f, _ := h.At(position); position != int64(len(want)) || f != nil {
		t.Fatalf("Each shows %d fields, want %d; then %q", position, len(want), f)
	}
	for name, f := range want {
		if value, at, ok := h.Get([]byte(name)); !ok || (typedField{string(value), at}) != f {
			t.Fatalf("Get(%s): %s, %d, %v; want %+v", name, value, at, ok, f)
		}
	}
	if _, _, ok := h.Get([]byte("no field")); ok {
		t.Fatal("a field too many")
	}
	seen, cursor := make(map[string]typedField), uint64(0)
	for first := true; first || cursor != 0; first = false {
		cursor = h.Scan(cursor, 1+rng.Intn(9), func(field, value []byte, expireAt int64) {
			if _, twice := seen[string(field)]; twice {
				t.Fatalf("%s is shown twice", field)
			}
			seen[string(field)] = typedField{string(value), expireAt}
		})
	}
	if !maps.Equal(seen, want) {
		t.Fatalf("Scan shows %v, want %v", seen, want)
	}
}

func checkSortedSet(t *testing.T, rng *rand.Rand, z SortedSetView, want *typedValue) {
	t.Helper()
	members := want.inOrder()
	if z.Len() != int64(len(members)) {
		t.Fatalf("Len %d, want %d", z.Len(), len(members))
	}
	for i, member := range members {
		score, ok1 := z.Score([]byte(member))
		rank, ok2 := z.Rank([]byte(member))
		if !ok1 || !ok2 || score != want.scores[member] || rank != int64(i) {
			t.Fatalf("%s: %v, %d; want %v, %d", member, score, rank, want.scores[member], i)
		}
	}
	_, ok1 := z.Score([]byte("nobody"))
	if _, ok2 := z.Rank([]byte("nobody")); ok1 || ok2 {
		t.Fatal("a member too many")
	}
	from, reverse := rng.Intn(len(members)+2)-1, rng.Intn(2) == 0
	var expected, got []string
	if from >= 0 && from < len(members) {
		if expected = slices.Clone(members[from:]); reverse {
			expected = slices.Clone(members[:from+1])
			slices.Reverse(expected)
		}
	}
	for member, score := range z.From(int64(from), reverse) {
		if got = append(got, string(member)); score != want.scores[string(member)] {
			t.Fatalf("From yields %s with %v", member, score)
		}
	}
	if !slices.Equal(got, expected) {
		t.Fatalf("From(%d, %v) yields %q, want %q", from, reverse, got, expected)
	}
	if member, _, ok := z.At(int64(from)); ok != (from >= 0 && from < len(members)) || ok && string(member) != members[from] {
		t.Fatalf("At(%d) is %q", from, member)
	}
	score, exclusive := typedScore(rng), rng.Intn(2) == 0
	position := slices.IndexFunc(members, func(member string) bool {
		return want.scores[member] > score || !exclusive && want.scores[member] == score
	})
	if position < 0 {
		position = len(members)
	}
	if at := z.FirstByScore(score, exclusive); at != int64(position) {
		t.Fatalf("FirstByScore(%v, %v) = %d, want %d", score, exclusive, at, position)
	}
	seen, cursor := make(map[string]float64), uint64(0)
	for first := true; first || cursor != 0; first = false {
		cursor = z.Scan(cursor, 1+rng.Intn(9), func(member []byte, score float64) { seen[string(member)] = score })
	}
	if !maps.Equal(seen, want.scores) {
		t.Fatalf("Scan shows %v, want %v", seen, want.scores)
	}
}

const typedKeys = 6

// typedKey names keys of one slot.
func typedKey(i int) string { return fmt.Sprintf("{t}%d", i) }

func typedScore(rng *rand.Rand) float64 {
	scores := []float64{math.Inf(-1), -2.5, -1, 0, 0.5, 1, 1e300, math.Inf(1)}
	return scores[rng.Intn(len(scores))]
}

func typedName(rng *rand.Rand) string {
	name := fmt.Sprint(rng.Intn(40))
	if rng.Intn(50) == 0 {
		name += string(make([]byte, 90))
	}
	return name
}

// expire returns a time of expiry, or none.
func (m *typedModel) expire(rng *rand.Rand) int64 {
	if rng.Intn(2) == 0 {
		return 0
	}
	return m.clock + int64(rng.Intn(40)) - 8
}

// step does one random operation on both, and compares what it returns.
func (m *typedModel) step(t *testing.T, rng *rand.Rand, tx *Tx) {
	t.Helper()
	name := typedKey(rng.Intn(typedKeys))
	key, was := []byte(name), m.value(name)
	before, _ := tx.View.Lookup(key)
	op := rng.Intn(32)
	defer func() {
		if tx.Err() != nil {
			t.Fatalf("operation %d on %s: %v", op, name, tx.Err())
		}
	}()
	switch op {
	case 0, 1, 2, 3, 4:
		m.stepHash(t, rng, tx, name)
	case 5, 6, 7, 8, 9:
		m.stepSortedSet(t, rng, tx, name)
	case 16, 17, 18, 19, 20:
		m.stepList(t, rng, tx, name)
	case 10:
		if tx.Delete(key) != (was != nil) {
			t.Fatalf("Delete(%s)", name)
		}
		delete(m.keys, name)
	case 11:
		at := m.expire(rng)
		if tx.SetExpire(key, at) != (was != nil) {
			t.Fatalf("SetExpire(%s)", name)
		}
		if was != nil {
			m.keys[name].expireAt = at
		}
	case 12, 13:
		m.stepRename(t, rng, tx, name)
		return
	case 14:
		limit := []int{1, 3, 1000}[rng.Intn(3)]
		left := func() int64 { return tx.LenSlot(slot.Of([]byte(name))) }
		if tx.DeleteExpired(limit); limit == 1000 && left() != m.live() {
			t.Fatalf("%d keys are left, want %d", left(), m.live())
		}
		return
	case 21, 22, 23, 24:
		m.stepSet(t, rng, tx, name)
	case 27, 28, 29, 30, 31:
		m.stepStream(t, rng, tx, name)
	case 25, 26:
		m.fill(t, rng, tx, name)
	case 15:
		text, at := fmt.Sprint(rng.Int()), m.expire(rng)
		tx.SetString(key, []byte(text), at)
		m.keys[name] = &typedValue{text: &text, expireAt: at}
	}
	after, ok := tx.View.Lookup(key)
	if now := m.value(name); now != nil && !reflect.DeepEqual(now, was) && (!ok || after.Version == before.Version) {
		t.Fatalf("%s has changed from %v to %v, and kept its version %v", name, was, now, after.Version)
	}
}

func (m *typedModel) stepHash(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	v := m.value(name)
	h, err := tx.Hash([]byte(name))
	if wrong := v != nil && v.fields == nil; wrong != errors.Is(err, ErrWrongType) || wrong {
		if !wrong {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if v == nil {
		v = &typedValue{fields: make(map[string]typedField)}
	}
	m.keys[name] = v
	for range 1 + rng.Intn(6) {
		field := typedName(rng)
		old, had := v.fields[field]
		switch rng.Intn(4) {
		case 0:
			if h.Delete([]byte(field)) != had {
				t.Fatalf("Delete(%s)", field)
			}
			delete(v.fields, field)
		case 1:
			at := m.expire(rng)
			if h.SetExpire([]byte(field), at) != had {
				t.Fatalf("SetExpire(%s)", field)
			}
			if had {
				v.fields[field] = typedField{old.value, at}
			}
		default:
			f := typedField{fmt.Sprint(rng.Int()), 0}
			if rng.Intn(3) == 0 {
				f.expireAt = m.expire(rng)
			}
			gone := f.expireAt != 0 && f.expireAt <= m.clock
			if h.Set([]byte(field), []byte(f.value), f.expireAt) != (!had && !gone) {
				t.Fatalf("Set(%s), %+v: %v", field, f, tx.Err())
			}
			v.fields[field] = f
		}
		if f := v.fields[field]; f.expireAt != 0 && f.expireAt <= m.clock {
			delete(v.fields, field)
		}
		if len(v.fields) == 0 {
			v.expireAt = 0 // the key is gone, and what is set next is another
		}
	}
	checkHash(t, rng, h.HashView, v.fields)
}

func (m *typedModel) stepSortedSet(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	v := m.value(name)
	z, err := tx.SortedSet([]byte(name))
	if wrong := v != nil && v.scores == nil; wrong != errors.Is(err, ErrWrongType) || wrong {
		if !wrong {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if v == nil {
		v = &typedValue{scores: make(map[string]float64)}
	}
	m.keys[name] = v
	for range 1 + rng.Intn(6) {
		member := typedName(rng)
		_, had := v.scores[member]
		switch rng.Intn(5) {
		case 0:
			if z.Delete([]byte(member)) != had {
				t.Fatalf("Delete(%s)", member)
			}
			delete(v.scores, member)
		case 1:
			from := rng.Intn(len(v.scores)+3) - 1
			to := from + rng.Intn(4)
			members := v.inOrder()
			gone := members[min(max(from, 0), len(members)):min(max(to, 0), len(members))]
			if n := z.DeleteRange(int64(from), int64(to)); n != int64(len(gone)) {
				t.Fatalf("DeleteRange(%d, %d) of %d = %d", from, to, len(members), n)
			}
			for _, member := range gone {
				delete(v.scores, member)
			}
		default:
			score := typedScore(rng)
			if z.Set([]byte(member), score) == had {
				t.Fatalf("Set(%s)", member)
			}
			v.scores[member] = score
		}
		if len(v.scores) == 0 {
			v.expireAt = 0
		}
	}
	checkSortedSet(t, rng, z.SortedSetView, v)
}

func (m *typedModel) stepRename(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	to, was := typedKey(rng.Intn(typedKeys)), m.value(name)
	do := tx.Copy
	move := rng.Intn(2) == 0
	if move {
		do = tx.Rename
	}
	if name == to {
		return
	}
	if do([]byte(name), []byte(to)) != (was != nil) {
		t.Fatalf("%s to %s", name, to)
	}
	if was != nil {
		m.keys[to] = was.clone()
		if move {
			delete(m.keys, name)
		}
	}
}

// entries runs some entries on both. Some steps are undone.
func (m *typedModel) entries(t *testing.T, rng *rand.Rand, tx *Tx) {
	for range 1 + rng.Intn(3) {
		m.applied++
		m.clock += int64(rng.Intn(12))
		tx.StartEntry(m.applied, m.clock)
		for range rng.Intn(8) {
			save, before := tx.Save(), m.clone()
			m.step(t, rng, tx)
			if rng.Intn(6) == 0 {
				tx.Undo(save)
				*m = *before
			}
		}
	}
}

// TestTypedModel runs random operations on hashes, sets, sorted sets, lists and streams
// against maps and slices, with undone steps, discards, old views and reopenings.
func TestTypedModel(t *testing.T) {
	for name, newStore := range stores(t) {
		for seed := range int64(6) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				rng := rand.New(rand.NewSource(seed))
				store, reopen := newStore()
				defer func() { store.Close() }()
				open := openTiny
				switch seed % 3 {
				case 0:
					open = openUsual
				case 1: // as a program before or after this one, with other limits
					open = func(t testing.TB, store storage.Store) *Keyspace {
						if rng.Intn(2) == 0 {
							return openUsual(t, store)
						}
						return openTiny(t, store)
					}
				}
				ks, m := open(t, store), &typedModel{keys: make(map[string]*typedValue)}
				for range 150 {
					before, view := m.clone(), ks.View(0)
					next := m.clone()
					tx := ks.Begin()
					next.entries(t, rng, tx)
					next.check(t, rng, &tx.View)
					if rng.Intn(6) == 0 {
						tx.Discard()
					} else if err := tx.Commit(); err != nil {
						t.Fatal(err)
					} else {
						m = next
					}
					if rng.Intn(3) == 0 {
						checkpoint(t, ks)
					}
					sweep(t, ks) // what the view needs stays
					before.check(t, rng, view)
					view.Close()
					checkInvariants(t, ks)
					if rng.Intn(25) == 0 {
						if err := ks.Close(); err != nil {
							t.Fatal(err)
						}
						store = reopen(store)
						ks = open(t, store)
					}
					view = ks.View(0)
					m.check(t, rng, view)
					view.Close()
				}
			})
		}
	}
}

// sweep removes what nobody needs.
func sweep(t testing.TB, ks *Keyspace) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = ks.recs.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is left of big values is swept once it is in the store and no view is older,
// to the last page, by a program that begins anew as well.
func TestRemainsAreSwept(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		store := storage.NewMemory()
		ks := openTiny(t, store)
		fill := func(key string, n int) func(*Tx) {
			return func(tx *Tx) {
				h, _ := tx.Hash([]byte("h" + key))
				s, _ := tx.Set([]byte("s" + key))
				z, _ := tx.SortedSet([]byte("z" + key))
				for i := range n {
					s.Add(fmt.Append(nil, "m", i))
					h.Set(fmt.Append(nil, i), []byte("value"), 5000)
					z.Set(fmt.Append(nil, i), float64(i))
				}
			}
		}
		write(t, ks, 1, 1000, fill("1", 500))
		write(t, ks, 2, 1000, fill("2", 300))
		checkpoint(t, ks)
		count := func(class byte) (n int) {
			each(t, ks, class, func([]byte, []byte) { n++ })
			return n
		}
		view, all := ks.View(0), count(classPage)
		write(t, ks, 3, 1000, func(tx *Tx) {
			tx.Delete([]byte("h1"))
			tx.SetString([]byte("z1"), nil, 0)
			tx.Delete([]byte("s1"))
			tx.Rename([]byte("z2"), []byte("{z2}z"))
		})
		write(t, ks, 4, 5000, func(tx *Tx) { tx.DeleteExpired(10_000) }) // the other hash
		sweep(t, ks)
		if n := count(classPage); n < all/2 { // all but those of the other hash
			t.Errorf("before a checkpoint %d of %d pages are left", n, all)
		}
		checkpoint(t, ks)
		sweep(t, ks)
		if h, _, _ := view.Hash([]byte("h1")); h.Len() != 500 {
			t.Errorf("the view sees %d fields", h.Len())
		} else if value, _, ok := h.Get([]byte("77")); !ok || string(value) != "value" {
			t.Errorf("the view sees no field: %v", view.Err())
		}
		view.Close()
		if n := count(classRemains); n != 4 {
			t.Errorf("%d remains, want 4", n)
		}
		if reopen {
			if err := ks.Close(); err != nil {
				t.Fatal(err)
			}
			ks = openTiny(t, store.Clone())
		}
		sweep(t, ks)
		checkInvariants(t, ks)
		if n := count(classRemains); n != 0 {
			t.Errorf("%d remains are left", n)
		}
		late := ks.View(0)
		if z, _, _ := late.SortedSet([]byte("{z2}z")); z.Len() != 300 || late.Len() != 3 {
			t.Errorf("%d members, %d keys", z.Len(), late.Len())
		}
		late.Close()
	}
}

func openUsual(t testing.TB, store storage.Store) *Keyspace { return open(t, store) }

// TestTypedDeterminism: what is stored, and the digest, do not depend on caches
// and on where transactions end.
func TestTypedDeterminism(t *testing.T) {
	run := func(perTx int, cacheBytes, seed int64) (records string, digest []byte) {
		store := storage.NewMemory()
		ks, err := Open(store, Options{CacheBytes: cacheBytes, pageSize: 100, inlineLimit: 40})
		if err != nil {
			t.Fatal(err)
		}
		rng, m := rand.New(rand.NewSource(seed)), &typedModel{keys: make(map[string]*typedValue)}
		tx := ks.Begin()
		for i := range 300 {
			if i%perTx == 0 {
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				tx = ks.Begin()
			}
			m.entries(t, rng, tx)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		checkInvariants(t, ks)
		var b bytes.Buffer
		view := ks.View(0)
		defer view.Close()
		if err := view.Digest(&b); err != nil {
			t.Fatal(err)
		}
		return dump(t, ks), b.Bytes()
	}
	for seed := range int64(3) {
		records, digest := run(1, 0, seed)
		for _, perTx := range []int{7, 300} {
			if r, d := run(perTx, int64(perTx-8)<<10, seed); r != records || !bytes.Equal(d, digest) {
				t.Fatalf("seed %d, %d entries a transaction: another content", seed, perTx)
			}
		}
	}
}

// Fields behind the local clock are told as there, and that they are behind.
func TestHashBehind(t *testing.T) {
	ks := open(t, storage.NewMemory())
	key := []byte("h")
	write(t, ks, 1, 1000, func(tx *Tx) {
		h, err := tx.Hash(key)
		if err != nil {
			t.Fatal(err)
		}
		h.Set([]byte("a"), []byte("1"), 2000)
		h.Set([]byte("b"), []byte("2"), 3000)
	})
	for local, want := range map[int64]string{0: "", 1999: "", 2000: "get len", 2999: "get len", 3000: "there get len"} {
		got := ""
		for name, read := range map[string]func(*View){
			"1there": func(v *View) { v.Lookup(key) },
			"2get":   func(v *View) { h, _, _ := v.Hash(key); h.Get([]byte("a")) },
			"3len":   func(v *View) { h, _, _ := v.Hash(key); h.Len() },
		} {
			view := ks.View(local)
			if read(view); view.Behind() {
				got += name
			}
			view.Close()
		}
		for _, name := range []string{"there", "get", "len"} {
			if bytes.Contains([]byte(want), []byte(name)) != bytes.Contains([]byte(got), []byte(name)) {
				t.Errorf("at %d: behind are %q, want %q", local, got, want)
			}
		}
	}
}

// Redis's order of fields, and its encodings.
func TestEncodings(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1000, func(tx *Tx) {
		h, _ := tx.Hash([]byte("h"))
		order := func(want string) {
			t.Helper()
			got := h.Encoding()
			h.Each(func(field, _ []byte, _ int64) bool { got += " " + string(field); return true })
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		for _, f := range []string{"a", "b", "c", "d"} {
			h.Set([]byte(f), []byte("x"), 0)
		}
		h.Set([]byte("b"), []byte("y"), 0)
		order("listpack a b c d")
		h.SetExpire([]byte("c"), 5000)
		h.SetExpire([]byte("d"), 4000)
		order("listpackex d c a b")
		h.SetExpire([]byte("d"), 0)
		order("listpackex c a b d")
		h.Set([]byte("c"), []byte("x"), 0)
		order("listpackex a b d c")
		h.Set([]byte("a"), make([]byte, largeElement+1), 0)
		h.Delete([]byte("a"))
		if h.Encoding() != "hashtable" {
			t.Errorf("with a long value: %s", h.Encoding())
		}
		z, _ := tx.SortedSet([]byte("z"))
		for i := range largeSortedSet {
			z.Set(fmt.Append(nil, i), 1)
		}
		if z.Encoding() != "listpack" {
			t.Errorf("%d members: %s", z.Len(), z.Encoding())
		}
		z.Set([]byte("one more"), math.Copysign(0, -1))
		z.DeleteRange(1, 100)
		if member, score, _ := z.At(0); z.Encoding() != "skiplist" || string(member) != "one more" || math.Signbit(score) {
			t.Errorf("%s, first %q %v", z.Encoding(), member, score)
		}
	})
}
