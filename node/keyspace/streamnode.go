package keyspace

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// errStreamItem is that of an item of a stream that makes no sense.
var errStreamItem = errors.New("an item of a stream")

// Redis keeps entries in nodes, which are listpacks, and begins another one when these
// are full. Approximate trimming removes whole nodes, and XINFO counts them: so it is
// known of which nodes a stream would consist.
const (
	maxNodeBytes   = 4096 // stream-node-max-bytes
	maxNodeEntries = 100  // stream-node-max-entries
)

// streamNode is a node of Redis's: entries that follow each other.
type streamNode struct {
	// first is the id with which the node has begun, last the last one that came to
	// it; these entries may be gone.
	first, last StreamID
	// live entries are there, none perhaps; so many deleted ones still take their place.
	live, deleted int64
	bytes         int64 // of the listpack
	// fields are those of the entry with which the node has begun: entries that have
	// the same do not repeat them. They are texts, as in StreamEntry; of a node that
	// is full they are not needed.
	fields []byte
}

// decodeNode reads an item. Its key is the first id, its value what appendValue writes.
func decodeNode(key, value []byte) (n streamNode, ok bool) {
	var numbers [5]uint64
	for i := range numbers {
		if numbers[i], value, ok = takeUvarint(value); !ok {
			return n, false
		}
	}
	n.first, n.last = streamIDOf(key), StreamID{numbers[3], numbers[4]}
	n.live, n.deleted, n.bytes, n.fields = int64(numbers[0]), int64(numbers[1]), int64(numbers[2]), value
	return n, len(key) == streamIDSize && n.live >= 0 && n.deleted >= 0 && n.bytes >= 0 && countTexts(value) >= 0
}

func (n *streamNode) appendValue(dst []byte) []byte {
	for _, number := range []uint64{uint64(n.live), uint64(n.deleted), uint64(n.bytes), n.last.MS, n.last.Seq} {
		dst = binary.AppendUvarint(dst, number)
	}
	if n.full(0) {
		return dst
	}
	return append(dst, n.fields...)
}

// full reports whether an entry whose texts have so many bytes begins another node.
func (n *streamNode) full(size int) bool {
	return n.bytes+int64(size) >= maxNodeBytes || n.live+n.deleted >= maxNodeEntries
}

// packedInteger returns how many bytes a number takes in a listpack.
func packedInteger(n int64) int64 {
	if 0 <= n && n < 1<<7 {
		return 1 + 1
	}
	return integerSize(n) + 1
}

// newStreamNode returns the node that begins with an entry, which has yet to be added.
func newStreamNode(id StreamID, fields []byte) streamNode {
	n := streamNode{first: id, fields: fields, bytes: listpackFrame + packedInteger(0) + packedInteger(0) + packedInteger(0)}
	count := int64(0)
	for rest := fields; len(rest) > 0; count++ {
		var field []byte
		field, rest, _ = takeBytes(rest)
		n.bytes += packedSize(field)
	}
	n.bytes += packedInteger(count)
	return n
}

// add counts an entry.
func (n *streamNode) add(id StreamID, texts [][]byte, fields []byte) {
	pairs := int64(len(texts) / 2)
	const flags = 2
	parts := 3 + pairs
	n.bytes += flags + packedInteger(int64(id.MS-n.first.MS)) + packedInteger(int64(id.Seq-n.first.Seq))
	for i := 1; i < len(texts); i += 2 {
		n.bytes += packedSize(texts[i])
	}
	if !bytes.Equal(fields, n.fields) {
		parts += pairs + 1
		n.bytes += packedInteger(pairs)
		for i := 0; i < len(texts); i += 2 {
			n.bytes += packedSize(texts[i])
		}
	}
	n.bytes += packedInteger(parts)
	n.count(1, 0)
	n.last = id
}

// count changes the numbers of entries, which are in the listpack, too.
func (n *streamNode) count(live, deleted int64) {
	n.bytes -= packedInteger(n.live) + packedInteger(n.deleted)
	n.live += live
	n.deleted += deleted
	n.bytes += packedInteger(n.live) + packedInteger(n.deleted)
}

// nodeAt returns a node by its position.
func (s *StreamView) nodeAt(position int64) (n streamNode, ok bool) {
	key, value, ok := s.nodes.at(position)
	if !ok {
		return n, false
	}
	if n, ok = decodeNode(key, value); !ok {
		s.view.fail(errStreamItem)
	}
	return n, ok
}

// putNode writes a node.
func (s *Stream) putNode(n *streamNode) {
	s.nodes.put(n.first.appendKey(make([]byte, 0, streamIDSize)), n.appendValue(make([]byte, 0, 64)))
}

// Append adds an entry, with at least one field; texts are fields, each followed by its
// value. The id is above all others.
func (s *Stream) Append(id StreamID, texts [][]byte) {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if !s.fits(size+binary.MaxVarintLen32*len(texts)) || !s.change() {
		return
	}
	var fields []byte
	for i := 0; i < len(texts); i += 2 {
		fields = appendElement(fields, texts[i])
	}
	node, ok := s.nodeAt(s.nodes.len() - 1)
	if !ok || node.full(size) {
		node = newStreamNode(id, fields)
	}
	node.add(id, texts, fields)
	s.putNode(&node)
	s.entries.put(id.appendKey(make([]byte, 0, streamIDSize)), appendEntry(s.tx.own.scratch[:0], texts))
	s.head.Last = id
	s.head.Added++
	s.noticed = true
}

// Delete removes an entry, and reports whether it was there.
func (s *Stream) Delete(id StreamID) bool {
	key := id.appendKey(make([]byte, 0, streamIDSize))
	if !s.Has(id) || !s.change() || !s.entries.delete(key) {
		return false
	}
	s.forget(key)
	if id.Compare(s.head.Deleted) > 0 {
		s.head.Deleted = id
	}
	return true
}

// forget counts an entry of a node as deleted.
func (s *Stream) forget(key []byte) {
	position, exact := s.nodes.find(key)
	if !exact {
		position--
	}
	node, ok := s.nodeAt(position)
	switch {
	case !ok:
		s.view.fail(errStreamItem)
	case node.live == 1:
		s.nodes.deleteRange(position, position+1)
	default:
		node.count(-1, 1)
		s.putNode(&node)
	}
}

// StreamTrim says what Trim is to remove.
type StreamTrim struct {
	// ByID: entries before MinID; otherwise so many that Length are left.
	ByID   bool
	MinID  StreamID
	Length int64
	// Whole: nothing but whole nodes, where references are kept; otherwise Redis counts
	// entries.
	Whole bool
	// Limit is how many entries may go, 0 for any number: a node that has more than are
	// left of it ends the trim.
	Limit int64
	// References says what becomes of groups' references to the entries.
	References StreamReferences
}

// Trim removes entries from the beginning, and returns how many.
func (s *Stream) Trim(t StreamTrim) (removed int64) {
	if t.References == OnlyAcknowledged {
		return s.trimAcknowledged(t)
	}
	nodes, length := int64(0), s.entries.len()
	var rest int64 // of the first node that is left
	s.nodes.ascend(0, func(key, value []byte) bool {
		node, ok := decodeNode(key, value)
		if !ok {
			s.view.fail(errStreamItem)
		}
		left := length - removed
		if !ok || !t.ByID && left <= t.Length || t.Limit > 0 && removed+node.live > t.Limit {
			return false
		}
		if t.ByID && node.last.Compare(t.MinID) < 0 || !t.ByID && left-node.live >= t.Length {
			nodes++
			removed += node.live
			return true
		}
		if !t.Whole || t.References != KeepReferences {
			rest = s.before(t, length) - removed
		}
		return false
	})
	if removed+rest == 0 || !s.change() {
		return 0
	}
	if t.References == DropReferences {
		s.dropFirst(removed + rest)
	}
	s.entries.deleteRange(0, removed+rest)
	s.nodes.deleteRange(0, nodes)
	if node, ok := s.nodeAt(0); ok && rest > 0 {
		node.count(-rest, rest) // none may be left, and Redis keeps the node
		s.putNode(&node)
	}
	return removed + rest
}

// before returns how many entries are to be removed by an exact trim.
func (s *StreamView) before(t StreamTrim, length int64) int64 {
	if !t.ByID {
		return length - t.Length
	}
	position, _ := s.entries.find(t.MinID.appendKey(make([]byte, 0, streamIDSize)))
	return position
}

// StreamNode is a node that Redis would keep entries in: see streamNode.
type StreamNode struct {
	First, Last          StreamID
	Live, Deleted, Bytes int64
}

// Nodes yields the nodes that Redis would keep the entries in.
func (s *StreamView) Nodes(yield func(StreamNode) bool) {
	s.nodes.ascend(0, func(key, value []byte) bool {
		n, ok := decodeNode(key, value)
		return s.sound(ok) && yield(StreamNode{n.first, n.last, n.live, n.deleted, n.bytes})
	})
}

// FillNode puts a node with its entries behind all others, of which there are Live;
// fields are those of the node. The last id and the number of entries added stay as they
// are.
func (s *Stream) FillNode(node StreamNode, fields [][]byte, entry func(i int) (id StreamID, texts [][]byte)) {
	if !s.change() {
		return
	}
	n := streamNode{first: node.First, last: node.Last, live: node.Live, deleted: node.Deleted, bytes: node.Bytes}
	for _, field := range fields {
		n.fields = appendElement(n.fields, field)
	}
	s.putNode(&n)
	for i := range int(node.Live) {
		if !s.change() {
			return
		}
		id, texts := entry(i)
		s.entries.put(id.appendKey(make([]byte, 0, streamIDSize)), appendEntry(s.tx.own.scratch[:0], texts))
	}
	s.noticed = true
}

// RadixTree returns how many keys and nodes the radix tree has in which Redis would
// keep the nodes. It looks at all of them.
func (s *StreamView) RadixTree() (keys, nodes int64) {
	var t radixTree
	s.nodes.ascend(0, func(key, _ []byte) bool {
		t.add(key)
		return true
	})
	return s.nodes.len(), t.end()
}
