package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// checkStream compares all that a stream shows with the model.
func checkStream(t *testing.T, rng *rand.Rand, s *StreamView, m *streamModel) {
	t.Helper()
	live := m.live()
	if s.Len() != int64(len(live)) || s.Head() != m.head {
		t.Fatalf("%d entries, want %d; %+v, want %+v; %v", s.Len(), len(live), s.Head(), m.head, s.view.Err())
	}
	first, any := s.First()
	top, _ := s.Top()
	if any != (len(live) > 0) || any && (first != live[0].id || top != live[len(live)-1].id) {
		t.Fatalf("from %s to %s", first, top)
	}
	from, to, reverse := m.anyID(rng), m.anyID(rng), rng.Intn(2) == 0
	if rng.Intn(2) == 0 {
		from, to = StreamID{}, MaxStreamID
	}
	var expected, got []string
	for _, e := range live {
		if e.id.Compare(from) >= 0 && e.id.Compare(to) <= 0 {
			expected = append(expected, fmt.Sprint(e.id, e.texts))
		}
	}
	if reverse {
		slices.Reverse(expected)
	}
	for e := range s.Entries(from, to, reverse) {
		var texts []string
		for text := range e.Texts {
			texts = append(texts, string(text))
		}
		if got = append(got, fmt.Sprint(e.ID, texts)); e.Len() != len(texts)/2 || !s.Has(e.ID) {
			t.Fatalf("%s has %d fields", e.ID, e.Len())
		}
	}
	if !slices.Equal(got, expected) {
		t.Fatalf("Entries(%s, %s, %v) yields %.50q, want %.50q", from, to, reverse, got, expected)
	}
	if n := s.CountFrom(from); n != int64(len(live)-slices.IndexFunc(append(live, modelEntry{id: MaxStreamID}), func(e modelEntry) bool { return e.id.Compare(from) >= 0 })) {
		t.Fatalf("%d entries from %s", n, from)
	}
	checkNodes(t, s, m)
	checkGroups(t, rng, s, m)
}

func checkNodes(t *testing.T, s *StreamView, m *streamModel) {
	t.Helper()
	keys, _ := s.RadixTree()
	if keys != int64(len(m.nodes)) {
		t.Fatalf("%d nodes, want %d", keys, len(m.nodes))
	}
	for i, want := range m.nodes {
		n, ok := s.nodeAt(int64(i))
		last := want.entries[len(want.entries)-1].id
		if !ok || n.first != want.first || n.last != last || n.live != want.live() || n.live+n.deleted != int64(len(want.entries)) || n.bytes != want.bytes() {
			t.Fatalf("node %d is %+v, want %d of %d, %d bytes", i, n, want.live(), len(want.entries), want.bytes())
		}
	}
}

func checkGroups(t *testing.T, rng *rand.Rand, s *StreamView, m *streamModel) {
	t.Helper()
	var names []string
	s.Groups(func(g StreamGroup) bool {
		names = append(names, string(g.Name))
		want := m.groups[string(g.Name)]
		if want == nil || g.Last != want.last || g.Read != want.read {
			t.Fatalf("group %q is %+v, want %+v", g.Name, g, want)
		}
		var who []string
		for c := range s.Consumers(g) {
			who = append(who, string(c.Name))
			if want.consumers[string(c.Name)] != [2]int64{c.Seen, c.Active} {
				t.Fatalf("consumer %+v, want %v", c, want.consumers[string(c.Name)])
			}
			checkPending(t, s, g, want, func(p modelPending) bool { return p.consumer == string(c.Name) }, s.PendingOf(g, c, StreamID{}), s.CountPendingOf(g, c))
		}
		if !slices.Equal(who, slices.Sorted(maps.Keys(want.consumers))) || s.CountConsumers(g) != int64(len(who)) {
			t.Fatalf("consumers of %q: %q", g.Name, who)
		}
		checkPending(t, s, g, want, func(modelPending) bool { return true }, s.Pending(g, StreamID{}), s.CountPending(g))
		last, n := int64(-1), int64(0)
		for p := range s.PendingIdle(g) {
			if n++; p.Delivered < last {
				t.Fatalf("%d comes behind %d", p.Delivered, last)
			}
			last = p.Delivered
		}
		if n != s.CountPending(g) {
			t.Fatalf("%d entries are idle, of %d", n, s.CountPending(g))
		}
		return true
	})
	if !slices.Equal(names, slices.Sorted(maps.Keys(m.groups))) || s.CountGroups() != int64(len(names)) {
		t.Fatalf("groups %q", names)
	}
}

func checkPending(t *testing.T, s *StreamView, g StreamGroup, m *modelGroup, counts func(modelPending) bool, shown func(func(PendingEntry) bool), n int64) {
	t.Helper()
	want := maps.Clone(m.pending)
	maps.DeleteFunc(want, func(_ StreamID, p modelPending) bool { return !counts(p) })
	if n != int64(len(want)) {
		t.Fatalf("%d pending entries, want %d", n, len(want))
	}
	last := StreamID{}
	shown(func(p PendingEntry) bool {
		if got := (modelPending{string(s.Owner(g, p)), p.Delivered, p.Deliveries}); got != want[p.ID] || p.ID.Compare(last) < 0 {
			t.Fatalf("%s is pending as %+v, want %+v", p.ID, got, want[p.ID])
		}
		last = p.ID
		delete(want, p.ID)
		return true
	})
	if len(want) > 0 {
		t.Fatalf("not shown as pending: %v", want)
	}
}

func (m *typedModel) stepStream(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	v := m.value(name)
	s, err := tx.Stream([]byte(name))
	if wrong := v != nil && v.stream == nil; wrong != errors.Is(err, ErrWrongType) || wrong {
		if !wrong {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if v == nil {
		v = &typedValue{stream: newStreamModel()}
		s.Touch()
	}
	m.keys[name] = v
	for range 1 + rng.Intn(4) {
		changeStream(t, rng, s, v.stream)
	}
	if rng.Intn(4) == 0 {
		checkStream(t, rng, &s.StreamView, v.stream)
	}
	s.End()
	checkStream(t, rng, &s.StreamView, v.stream)
}

// TestStreamModel runs random changes on one stream, which becomes long at times, with
// pages of all sizes.
func TestStreamModel(t *testing.T) {
	for seed := range int64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			ks, err := Open(storage.NewMemory(), Options{Group: 7, pageSize: 64 << seed, inlineLimit: 16 << seed})
			if err != nil {
				t.Fatal(err)
			}
			want := newStreamModel()
			for i := range 300 {
				write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
					s, err := tx.Stream([]byte("s"))
					if err != nil {
						t.Fatal(err)
					}
					s.Touch()
					for range 1 + rng.Intn(6) {
						changeStream(t, rng, s, want)
					}
					if s.End(); tx.Err() != nil {
						t.Fatal(tx.Err())
					}
				})
				view := ks.View(0)
				s, _, _ := view.Stream([]byte("s"))
				checkStream(t, rng, s, want)
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

// TestStreamWriteCost: a change costs what it adds, not what is there: pages of the paths to
// an entry, to its node, and to what there is of a group.
func TestStreamWriteCost(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) {
		s, _ := tx.Stream([]byte("s"))
		s.AddGroup([]byte("g"), StreamID{}, 0)
		g, _ := s.Group([]byte("g"))
		c := s.AddConsumer(g, []byte("c"), 1)
		for i := range uint64(50_000) {
			s.Append(StreamID{1 + i, 0}, [][]byte{[]byte("field"), fmt.Append(nil, i)})
			s.Deliver(g, c, StreamID{1 + i, 0}, 1, 1)
		}
		s.End()
	})
	pages := func() map[string]string {
		found := make(map[string]string)
		each(t, ks, classPage, func(key, value []byte) { found[string(key)] = string(value) })
		return found
	}
	const height = 3 // of the highest tree
	for name, c := range map[string]struct {
		change func(s *Stream, g StreamGroup, c StreamConsumer)
		most   int
	}{
		"Append":      {func(s *Stream, _ StreamGroup, _ StreamConsumer) { s.Append(StreamID{1 << 40, 0}, [][]byte{nil, nil}) }, 2 * height},
		"Delete":      {func(s *Stream, _ StreamGroup, _ StreamConsumer) { s.Delete(StreamID{25_000, 0}) }, 2 * height},
		"Trim":        {func(s *Stream, _ StreamGroup, _ StreamConsumer) { s.Trim(StreamTrim{Length: s.Len() - 1}) }, 2 * height},
		"Deliver":     {func(s *Stream, g StreamGroup, c StreamConsumer) { s.Deliver(g, c, StreamID{25_001, 0}, 2, 2) }, 4 * height},
		"Acknowledge": {func(s *Stream, g StreamGroup, _ StreamConsumer) { s.Acknowledge(g, StreamID{25_002, 0}) }, 4 * height},
	} {
		before := pages()
		write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
			s, _ := tx.Stream([]byte("s"))
			g, _ := s.Group([]byte("g"))
			consumer, _ := s.Consumer(g, []byte("c"))
			c.change(s, g, consumer)
			s.End()
		})
		changed := 0
		for key, page := range pages() {
			if before[key] != page {
				changed++
			}
		}
		if changed == 0 || changed > c.most {
			t.Errorf("%s writes %d pages", name, changed)
		}
	}
}

// TestStreamDigest: two streams that differ in one thing have other digests, in pages
// too.
func TestStreamDigest(t *testing.T) {
	digest := func(open func(testing.TB, storage.Store) *Keyspace, change func(s *Stream)) string {
		ks := open(t, storage.NewMemory())
		write(t, ks, 1, 1, func(tx *Tx) {
			s, _ := tx.Stream([]byte("s"))
			for i := range uint64(20) {
				s.Append(StreamID{1 + i, 0}, [][]byte{[]byte("field"), []byte("value")})
			}
			s.AddGroup([]byte("g"), StreamID{}, 0)
			g, _ := s.Group([]byte("g"))
			c := s.AddConsumer(g, []byte("c"), 5)
			s.Deliver(g, c, StreamID{3, 0}, 5, 1)
			change(s)
			s.End()
		})
		view := ks.View(0)
		defer view.Close()
		var b strings.Builder
		if err := view.Digest(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	group := func(s *Stream) (StreamGroup, StreamConsumer) {
		g, _ := s.Group([]byte("g"))
		c, _ := s.Consumer(g, []byte("c"))
		return g, c
	}
	changes := map[string]func(s *Stream){
		"nothing":    func(*Stream) {},
		"an entry":   func(s *Stream) { s.Append(StreamID{30, 0}, [][]byte{nil, nil}) },
		"a deletion": func(s *Stream) { s.Delete(StreamID{7, 0}) },
		"the head":   func(s *Stream) { s.SetHead(StreamHead{Last: StreamID{20, 1}, Added: 20}) },
		"a group":    func(s *Stream) { s.AddGroup([]byte("h"), StreamID{}, 0) },
		"a consumer": func(s *Stream) { g, _ := group(s); s.AddConsumer(g, []byte("d"), 5) },
		"a time":     func(s *Stream) { g, c := group(s); s.Deliver(g, c, StreamID{3, 0}, 6, 1) },
		"a delivery": func(s *Stream) { g, c := group(s); s.Deliver(g, c, StreamID{4, 0}, 5, 1) },
	}
	for name, open := range map[string]func(testing.TB, storage.Store) *Keyspace{"inline": openUsual, "paged": openTiny} {
		seen := make(map[string]string)
		for what, change := range changes {
			d := digest(open, change)
			if d != digest(open, change) {
				t.Errorf("%s: %s: another digest each time", name, what)
			}
			if other, ok := seen[d]; ok {
				t.Errorf("%s: the digest does not tell %s from %s", name, what, other)
			}
			seen[d] = what
		}
	}
}

// TestStreamNotice: those who wait for entries are told of these, of a group that is
// gone and of the stream's end, and of nothing else.
func TestStreamNotice(t *testing.T) {
	ks := open(t, storage.NewMemory())
	key := []byte("s")
	for i, c := range []struct {
		change func(tx *Tx, s *Stream)
		want   int
	}{
		{func(_ *Tx, s *Stream) { s.AddGroup([]byte("g"), StreamID{}, 0) }, 0},
		{func(_ *Tx, s *Stream) { s.Append(StreamID{1, 0}, [][]byte{nil, nil}) }, 1},
		{func(_ *Tx, s *Stream) { s.Delete(StreamID{1, 0}) }, 0},
		{func(_ *Tx, s *Stream) { s.RemoveGroup([]byte("g")) }, 1},
		{func(tx *Tx, _ *Stream) { tx.Delete(key) }, 10},
		{func(_ *Tx, s *Stream) { s.Touch() }, 0},
		{func(tx *Tx, _ *Stream) { tx.SetString(key, nil, 0) }, 10},
		{func(tx *Tx, _ *Stream) { tx.Flush() }, 100},
	} {
		write(t, ks, ks.Applied()+1, 1, func(tx *Tx) {
			got := 0
			tx.OnPut(func(name []byte, holds Type) {
				if holds == TypeStream && bytes.Equal(name, key) {
					got++
				}
			})
			tx.OnStreamGone(func(name []byte) {
				switch {
				case name == nil:
					got += 100
				case bytes.Equal(name, key):
					got += 10
				}
			})
			s, _ := tx.Stream(key)
			c.change(tx, s)
			if s.End(); got != c.want {
				t.Errorf("change %d: %d notices", i, got)
			}
		})
	}
}

// TestRadixTree: as many nodes as Redis 7.0 tells of in XINFO STREAM.
func TestRadixTree(t *testing.T) {
	for _, c := range []struct {
		ids  []StreamID
		want int64
	}{
		{nil, 1},
		{[]StreamID{{1, 1}}, 2},
		{[]StreamID{{1, 1}, {1, 2}}, 4},
		{[]StreamID{{1, 1}, {2, 1}}, 6},
		{[]StreamID{{1, 1}, {1, 1 << 8}}, 6},
		{[]StreamID{{0, 1}, {1 << 63, 1}}, 5},
		{[]StreamID{{1, 1}, {1, 2}, {2, 1}}, 8},
	} {
		var tree radixTree
		for _, id := range c.ids {
			tree.add(id.appendKey(nil))
		}
		if n := tree.end(); n != c.want {
			t.Errorf("%v: %d nodes, want %d", c.ids, n, c.want)
		}
	}
}
