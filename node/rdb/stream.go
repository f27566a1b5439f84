package rdb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// StreamID names an entry of a stream: a time in unix ms, and a number.
type StreamID struct{ MS, Seq uint64 }

func (id StreamID) compare(other StreamID) int {
	return cmp.Or(cmp.Compare(id.MS, other.MS), cmp.Compare(id.Seq, other.Seq))
}

// Stream is a stream. A payload has, numbers being lengths where nothing else is said,
//
//	nodes: number, and for each its first id (a string), and a listpack: see streamNode
//	entries: number
//	last id; and since 7.0 first id, largest deleted id, entries added
//	groups: number, and for each
//	    name, last id, and since 7.0 entries read (-1 as 64 bits)
//	    pending entries: number, and for each id (16 bytes), delivered (8 bytes), deliveries
//	    consumers: number, and for each
//	        name, seen (8 bytes), and since 7.2 active (8 bytes)
//	        pending entries: number, and for each id (16 bytes)
//	since 8.6, what is kept to know producers' ids again, which is read and forgotten:
//	    for how long, how many; producers: number, and for each name and
//	    ids: number, and for each a string and an id; how many there were, and how many again
//
// An id is two lengths, or in 16 bytes two big endian numbers; times are little endian.
type Stream struct {
	Nodes         []StreamNode
	Last, Deleted StreamID
	Added         uint64
	Groups        []StreamGroup
}

// StreamNode is what Redis keeps some entries in.
type StreamNode struct {
	// First is the id with which the node has begun, Last the last one that came to it.
	First, Last StreamID
	// Deleted entries still take their place, Bytes is how long the listpack is.
	Deleted, Bytes int
	// Fields are those of the node, which entries with the same do not repeat.
	Fields  [][]byte
	Entries []StreamEntry
}

// StreamEntry is an entry: Texts are fields, each followed by its value.
type StreamEntry struct {
	ID    StreamID
	Texts [][]byte
}

// StreamGroup is a group. Read is how many entries it has read, -1 if nobody knows.
type StreamGroup struct {
	Name      []byte
	Last      StreamID
	Read      int64
	Consumers []StreamConsumer
}

// StreamConsumer is a consumer with what is pending with it. Times are in unix ms, -1 is
// never.
type StreamConsumer struct {
	Name         []byte
	Seen, Active int64
	Pending      []StreamPending
}

// StreamPending is an entry that was delivered, and not acknowledged.
type StreamPending struct {
	ID                    StreamID
	Delivered, Deliveries int64
}

// howMany reads how many of something follow, each of which takes a byte at least.
func (r *reader) howMany() int {
	n := r.length()
	if n > uint64(len(r.rest)) {
		r.fail(ErrFormat)
		return 0
	}
	return int(n)
}

func (r *reader) streamID() StreamID { return StreamID{r.length(), r.length()} }

// rawID reads an id of 16 bytes.
func (r *reader) rawID() StreamID { return idOf(r.take(16)) }

func idOf(b []byte) StreamID {
	if len(b) != 16 {
		return StreamID{}
	}
	return StreamID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// stream reads a stream.
func (r *reader) stream(kind byte) *Stream {
	s := &Stream{}
	live, last := 0, StreamID{}
	for n := r.howMany(); n > 0 && r.err == nil; n-- {
		node := r.streamNode()
		if len(s.Nodes) > 0 && node.First.compare(last) <= 0 {
			r.fail(ErrFormat)
		}
		last = node.Last
		live += len(node.Entries)
		if len(node.Entries) > 0 { // Redis may keep one in which all are deleted
			s.Nodes = append(s.Nodes, node)
		}
	}
	told := r.length()
	s.Last = r.streamID()
	s.Added = uint64(live)
	if kind != typeStream {
		r.streamID() // the first, which the entries tell
		s.Deleted = r.streamID()
		s.Added = r.length()
	}
	if told != uint64(live) || s.Last.compare(s.top()) < 0 {
		r.fail(ErrFormat)
	}
	names := make(map[string]bool)
	for n := r.howMany(); n > 0 && r.err == nil; n-- {
		g := r.streamGroup(kind)
		if names[string(g.Name)] {
			r.fail(ErrFormat)
		}
		names[string(g.Name)] = true
		s.Groups = append(s.Groups, g)
	}
	if kind == typeStream4 {
		r.producers()
	}
	return s
}

// top is the last entry's id.
func (s *Stream) top() StreamID {
	if len(s.Nodes) == 0 {
		return StreamID{}
	}
	entries := s.Nodes[len(s.Nodes)-1].Entries
	return entries[len(entries)-1].ID
}

// A node's listpack is
//
//	entries that are there, that are deleted; fields: number, and each; 0
//
// and for each entry flags, ms and number of its id less those of the first one; if the
// flags do not say that its fields are the node's, their number; the values, behind each
// its field if so; and how many elements these are.
const (
	flagDeleted    = 1
	flagSameFields = 2
)

// elements takes a listpack's one after the other.
type elements struct {
	rest [][]byte
	bad  bool
}

func (e *elements) take(n int64) [][]byte {
	if n < 0 || n > int64(len(e.rest)) {
		e.bad, e.rest = true, nil
		return nil
	}
	taken := e.rest[:n:n]
	e.rest = e.rest[n:]
	return taken
}

func (e *elements) number() int64 {
	taken := e.take(1)
	if taken == nil {
		return 0
	}
	n, ok := integer(taken[0])
	e.bad = e.bad || !ok
	return n
}

// streamNode reads a node.
func (r *reader) streamNode() (node StreamNode) {
	node.First = idOf(r.blob())
	blob := r.blob()
	node.Bytes, node.Last = len(blob), node.First
	e := elements{rest: r.unpack(blob, nil)}
	live, deleted := e.number(), e.number()
	node.Fields = e.take(e.number())
	e.bad = e.bad || e.number() != 0 || live < 0 || deleted < 0
	gone := int64(0)
	for len(e.rest) > 0 && !e.bad && r.err == nil {
		flags := e.number()
		id := StreamID{node.First.MS + uint64(e.number()), node.First.Seq + uint64(e.number())}
		texts := e.texts(flags, node.Fields)
		if some := len(node.Entries) > 0 || gone > 0; id.compare(node.Last) < 0 || some && id == node.Last {
			e.bad = true
		}
		node.Last = id
		if flags&flagDeleted != 0 {
			gone++
			continue
		}
		node.Entries = append(node.Entries, StreamEntry{id, texts})
		r.spend(perElement + len(texts)*24)
	}
	if node.Deleted = int(gone); e.bad || gone != deleted || live != int64(len(node.Entries)) || live+gone == 0 {
		r.fail(ErrFormat)
	}
	return node
}

// texts takes the fields and values of an entry.
func (e *elements) texts(flags int64, fields [][]byte) (texts [][]byte) {
	count := int64(3)
	if flags&flagSameFields != 0 {
		values := e.take(int64(len(fields)))
		for i, value := range values {
			texts = append(texts, fields[i], value)
		}
		count += int64(len(values))
	} else {
		n := e.number()
		if n > math.MaxInt32 {
			e.bad = true
			return nil
		}
		texts = e.take(2 * n)
		count += 2*n + 1
	}
	e.bad = e.bad || e.number() != count
	return texts
}

// streamGroup reads a group.
func (r *reader) streamGroup(kind byte) StreamGroup {
	g := StreamGroup{Name: r.string(), Last: r.streamID(), Read: -1}
	if kind != typeStream {
		g.Read = max(int64(r.length()), -1)
	}
	pending := make(map[StreamID]StreamPending)
	n := r.howMany()
	for range n {
		p := StreamPending{ID: r.rawID(), Delivered: int64(r.uint64())}
		deliveries := r.length()
		p.Deliveries = int64(min(deliveries, math.MaxInt64))
		if _, twice := pending[p.ID]; twice || !r.spend(perElement) {
			r.fail(ErrFormat)
		}
		if r.err != nil {
			return g
		}
		pending[p.ID] = p
	}
	names := make(map[string]bool)
	for n := r.howMany(); n > 0 && r.err == nil; n-- {
		c := r.streamConsumer(kind, pending)
		if names[string(c.Name)] {
			r.fail(ErrFormat)
		}
		names[string(c.Name)] = true
		g.Consumers = append(g.Consumers, c)
	}
	if len(pending) > 0 { // with nobody
		r.fail(ErrFormat)
	}
	return g
}

// streamConsumer reads a consumer, who takes his from what is pending.
func (r *reader) streamConsumer(kind byte, pending map[StreamID]StreamPending) StreamConsumer {
	c := StreamConsumer{Name: r.string(), Seen: int64(r.uint64())}
	c.Active = c.Seen
	if kind != typeStream && kind != typeStream2 {
		c.Active = max(int64(r.uint64()), -1)
	}
	for n := r.howMany(); n > 0 && r.err == nil; n-- {
		p, found := pending[r.rawID()]
		if !found {
			r.fail(ErrFormat)
			break
		}
		delete(pending, p.ID)
		c.Pending = append(c.Pending, p)
	}
	return c
}

// producers reads what is kept of producers' ids.
func (r *reader) producers() {
	r.length()
	r.length()
	for n := r.howMany(); n > 0 && r.err == nil; n-- {
		r.string()
		for ids := r.howMany(); ids > 0 && r.err == nil; ids-- {
			r.string()
			r.streamID()
		}
	}
	r.length()
	r.length()
}

// EncodeStream returns the payload of a stream as Redis 7.0 writes it: which consumer was
// given something when is not in it. nodes yields the nodes, without what is deleted;
// length is how many entries they have.
func EncodeStream(s *Stream, length int64, first StreamID, count int64, nodes func(yield func(*StreamNode) bool)) []byte {
	e := begin(typeStream2, 0)
	e.length(uint64(count))
	var pack listpackWriter
	for node := range nodes {
		e.blob(appendID(nil, node.First))
		pack.reset()
		node.pack(&pack)
		e.blob(pack.bytes())
	}
	e.length(uint64(length))
	e.streamID(s.Last)
	e.streamID(first)
	e.streamID(s.Deleted)
	e.length(s.Added)
	e.length(uint64(len(s.Groups)))
	for i := range s.Groups {
		e.streamGroup(&s.Groups[i])
	}
	return seal(e.out, versionWritten)
}

func appendID(dst []byte, id StreamID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, id.MS), id.Seq)
}

// pack writes the node's listpack.
func (n *StreamNode) pack(w *listpackWriter) {
	w.addInt(int64(len(n.Entries)))
	w.addInt(0)
	w.addInt(int64(len(n.Fields)))
	for _, field := range n.Fields {
		w.add(field)
	}
	w.addInt(0)
	for i := range n.Entries {
		entry := &n.Entries[i]
		pairs, same := int64(len(entry.Texts)/2), n.same(entry)
		flags, parts := int64(0), 4+2*pairs
		if same {
			flags, parts = flagSameFields, 3+pairs
		}
		w.addInt(flags)
		w.addInt(int64(entry.ID.MS - n.First.MS))
		w.addInt(int64(entry.ID.Seq - n.First.Seq))
		if !same {
			w.addInt(pairs)
		}
		for j, text := range entry.Texts {
			if j%2 == 1 || !same {
				w.add(text)
			}
		}
		w.addInt(parts)
	}
}

// same reports whether an entry has the node's fields.
func (n *StreamNode) same(entry *StreamEntry) bool {
	if len(entry.Texts) != 2*len(n.Fields) {
		return false
	}
	for i, field := range n.Fields {
		if !bytes.Equal(entry.Texts[2*i], field) {
			return false
		}
	}
	return true
}

func (e *encoder) streamID(id StreamID) {
	e.length(id.MS)
	e.length(id.Seq)
}

func (e *encoder) streamGroup(g *StreamGroup) {
	e.string(g.Name)
	e.streamID(g.Last)
	e.length(uint64(g.Read))
	var pending []StreamPending
	for i := range g.Consumers {
		pending = append(pending, g.Consumers[i].Pending...)
	}
	e.length(uint64(len(pending)))
	slices.SortFunc(pending, func(a, b StreamPending) int { return a.ID.compare(b.ID) })
	for _, p := range pending {
		e.out = appendID(e.out, p.ID)
		e.out = binary.LittleEndian.AppendUint64(e.out, uint64(p.Delivered))
		e.length(uint64(p.Deliveries))
	}
	e.length(uint64(len(g.Consumers)))
	for i := range g.Consumers {
		c := &g.Consumers[i]
		e.string(c.Name)
		e.out = binary.LittleEndian.AppendUint64(e.out, uint64(c.Seen))
		e.length(uint64(len(c.Pending)))
		for _, p := range c.Pending {
			e.out = appendID(e.out, p.ID)
		}
	}
}
