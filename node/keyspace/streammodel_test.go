package keyspace

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
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
