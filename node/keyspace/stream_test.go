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

// streamModel is what a stream should hold, in the plainest form: all entries with the
// nodes that they are in, also those that are deleted.
type streamModel struct {
	head   StreamHead
	nodes  []modelNode
	groups map[string]*modelGroup
}

type modelNode struct {
	first   StreamID
	entries []modelEntry
}

type modelEntry struct {
	id      StreamID
	texts   []string
	deleted bool
}

type modelGroup struct {
	last      StreamID
	read      int64
	consumers map[string][2]int64
	pending   map[StreamID]modelPending
}

type modelPending struct {
	consumer              string
	delivered, deliveries int64
}

func newStreamModel() *streamModel { return &streamModel{groups: make(map[string]*modelGroup)} }

func (m *streamModel) clone() *streamModel {
	if m == nil {
		return nil
	}
	c := &streamModel{head: m.head, groups: make(map[string]*modelGroup)}
	for _, n := range m.nodes {
		c.nodes = append(c.nodes, modelNode{n.first, slices.Clone(n.entries)})
	}
	for name, g := range m.groups {
		c.groups[name] = &modelGroup{g.last, g.read, maps.Clone(g.consumers), maps.Clone(g.pending)}
	}
	return c
}

// live returns the entries that are there.
func (m *streamModel) live() (entries []modelEntry) {
	for _, n := range m.nodes {
		for _, e := range n.entries {
			if !e.deleted {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

func (n *modelNode) live() (live int64) {
	for _, e := range n.entries {
		if !e.deleted {
			live++
		}
	}
	return live
}

// bytes returns how many bytes a node takes as Redis writes it, number after number.
func (n *modelNode) bytes() (size int64) {
	number := func(i int64) { size += packedSize(fmt.Append(nil, i)) }
	size = 6 + 1
	number(n.live())
	number(int64(len(n.entries)) - n.live())
	master := n.entries[0].texts
	number(int64(len(master) / 2))
	for i := 0; i < len(master); i += 2 {
		size += packedSize([]byte(master[i]))
	}
	number(0)
	for _, e := range n.entries {
		same := len(e.texts) == len(master)
		for i := 0; same && i < len(master); i += 2 {
			same = e.texts[i] == master[i]
		}
		number(2)
		number(int64(e.id.MS - n.first.MS))
		number(int64(e.id.Seq - n.first.Seq))
		parts := 3 + int64(len(e.texts)/2)
		if !same {
			number(int64(len(e.texts) / 2))
			parts += 1 + int64(len(e.texts)/2)
		}
		for i, text := range e.texts {
			if i%2 == 1 || !same {
				size += packedSize([]byte(text))
			}
		}
		number(parts)
	}
	return size
}

func (m *streamModel) append(id StreamID, texts []string) {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	last := len(m.nodes) - 1
	if last < 0 || m.nodes[last].bytes()+int64(size) >= 4096 || len(m.nodes[last].entries) >= 100 {
		m.nodes = append(m.nodes, modelNode{first: id})
		last++
	}
	m.nodes[last].entries = append(m.nodes[last].entries, modelEntry{id: id, texts: texts})
	m.head.Last = id
	m.head.Added++
}

// mark deletes an entry, and its node if that was the last one.
func (m *streamModel) mark(id StreamID) (found bool) {
	for i := range m.nodes {
		for j := range m.nodes[i].entries {
			if e := &m.nodes[i].entries[j]; e.id == id && !e.deleted {
				if e.deleted = true; m.nodes[i].live() == 0 {
					m.nodes = slices.Delete(m.nodes, i, i+1)
				}
				return true
			}
		}
	}
	return false
}

// trim is Redis's, line by line.
func (m *streamModel) trim(t StreamTrim) (removed int64) {
	length := int64(len(m.live()))
	for len(m.nodes) > 0 {
		n := &m.nodes[0]
		live := n.live()
		if !t.ByID && length <= t.Length || t.Limit > 0 && removed+live > t.Limit {
			return removed
		}
		if whole := length-live >= t.Length; t.ByID && n.entries[len(n.entries)-1].id.Compare(t.MinID) < 0 || !t.ByID && whole {
			m.nodes = m.nodes[1:]
			length -= live
			removed += live
			continue
		}
		if t.Whole {
			return removed
		}
		for i := range n.entries {
			e := &n.entries[i]
			if t.ByID && e.id.Compare(t.MinID) >= 0 || !t.ByID && length <= t.Length {
				break
			}
			if !e.deleted {
				e.deleted = true
				length--
				removed++
			}
		}
		return removed
	}
	return removed
}

// anyID returns the id of some entry that was there, or another one.
func (m *streamModel) anyID(rng *rand.Rand) StreamID {
	if live := m.live(); len(live) > 0 && rng.Intn(4) > 0 {
		return live[rng.Intn(len(live))].id
	}
	return StreamID{uint64(rng.Intn(50)), uint64(rng.Intn(3))}
}

// changeStream does one random change on a stream and on what it should hold.
func changeStream(t *testing.T, rng *rand.Rand, s *Stream, m *streamModel) {
	t.Helper()
	switch rng.Intn(12) {
	case 0, 1, 2, 3, 4:
		for range 1 + rng.Intn(8) {
			id := StreamID{m.head.Last.MS + uint64(rng.Intn(2)*rng.Intn(1000)), uint64(rng.Intn(300))}
			if id.Compare(m.head.Last) <= 0 {
				id, _ = m.head.Last.Next()
			}
			texts := streamTexts(rng)
			var words [][]byte
			for _, text := range texts {
				words = append(words, []byte(text))
			}
			s.Append(id, words)
			m.append(id, texts)
		}
	case 5:
		id := m.anyID(rng)
		if found := m.mark(id); s.Delete(id) != found {
			t.Fatalf("Delete(%s) is not %v", id, found)
		} else if found && id.Compare(m.head.Deleted) > 0 {
			m.head.Deleted = id
		}
	case 6:
		trim := StreamTrim{ByID: rng.Intn(2) == 0, Whole: rng.Intn(2) == 0, MinID: m.anyID(rng), Length: int64(rng.Intn(60))}
		if trim.Whole && rng.Intn(2) == 0 {
			trim.Limit = int64(rng.Intn(200))
		}
		if got, want := s.Trim(trim), m.trim(trim); got != want {
			t.Fatalf("Trim(%+v) removes %d, not %d", trim, got, want)
		}
	case 7:
		next, _ := m.head.Last.Next()
		m.head.Last, m.head.Added = next, m.head.Added+uint64(rng.Intn(3))
		s.SetHead(m.head)
	default:
		changeGroup(t, rng, s, m)
	}
}

func streamTexts(rng *rand.Rand) (texts []string) {
	switch rng.Intn(6) {
	case 0:
		for range 1 + rng.Intn(3) {
			texts = append(texts, fmt.Sprint(rng.Intn(3)), strings.Repeat("x", rng.Intn(300)))
		}
	case 1:
		texts = []string{"big", strings.Repeat("y", rng.Intn(5000))}
	default:
		texts = []string{"field", fmt.Sprint(rng.Intn(1 << rng.Intn(30)))}
	}
	return texts
}

func changeGroup(t *testing.T, rng *rand.Rand, s *Stream, m *streamModel) {
	t.Helper()
	name := []string{"", "g", "group", "group\x00"}[rng.Intn(4)]
	g, ok := s.Group([]byte(name))
	want := m.groups[name]
	if ok != (want != nil) {
		t.Fatalf("group %q: %v", name, ok)
	}
	if !ok || rng.Intn(20) == 0 {
		if added := s.AddGroup([]byte(name), m.head.Last, -1); added != (want == nil) {
			t.Fatalf("AddGroup: %v", added)
		}
		if want == nil {
			m.groups[name] = &modelGroup{m.head.Last, -1, make(map[string][2]int64), make(map[StreamID]modelPending)}
		}
		return
	}
	if rng.Intn(30) == 0 {
		if !s.RemoveGroup([]byte(name)) {
			t.Fatalf("RemoveGroup(%q)", name)
		}
		delete(m.groups, name)
		return
	}
	who := []string{"", "a", "b", "bb"}[rng.Intn(4)]
	c, known := s.Consumer(g, []byte(who))
	if _, has := want.consumers[who]; has != known {
		t.Fatalf("consumer %q: %v", who, known)
	}
	if !known {
		at := int64(rng.Intn(100))
		c = s.AddConsumer(g, []byte(who), at)
		want.consumers[who] = [2]int64{at, -1}
	}
	switch rng.Intn(6) {
	case 0, 1, 2:
		id, p := m.anyID(rng), modelPending{who, int64(rng.Intn(5)), int64(rng.Intn(9))}
		s.Deliver(g, c, id, p.delivered, p.deliveries)
		want.pending[id] = p
	case 3:
		id := m.anyID(rng)
		for id = range want.pending {
			break
		}
		_, pending := want.pending[id]
		if s.Acknowledge(g, id) != pending {
			t.Fatalf("Acknowledge(%s) is not %v", id, pending)
		}
		delete(want.pending, id)
	case 4:
		g.Last, g.Read = m.anyID(rng), int64(rng.Intn(9))
		want.last, want.read = g.Last, g.Read
		s.SetGroup(g)
		c.Seen, c.Active = c.Seen+1, int64(rng.Intn(100))
		want.consumers[who] = [2]int64{c.Seen, c.Active}
		s.SetConsumer(g, c)
	default:
		if rng.Intn(5) == 0 {
			s.RemoveConsumer(g, c)
			delete(want.consumers, who)
			maps.DeleteFunc(want.pending, func(_ StreamID, p modelPending) bool { return p.consumer == who })
		}
	}
}

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
