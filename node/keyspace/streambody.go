package keyspace

import (
	"encoding/binary"
	"math"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// inlineStream is a stream that is in the body of its metadata record. That is
//
//	last id: ms, seq; largest id that was deleted: ms, seq; entries added;
//	largest number of a group or consumer (all uvarints); and for entries, nodes and
//	groups each their size (uvarint), and the items: see packed
type inlineStream struct {
	head                   StreamHead
	numbers                uint64
	entries, nodes, groups []byte
}

// pagedStream is a stream that is in pages. The body of its metadata record is
//
//	object:20, what an inlineStream begins with, roots of entries, nodes and groups,
//	page numbers
type pagedStream struct {
	head                   StreamHead
	last                   uint64 // number of a group or consumer
	entries, nodes, groups tree.Root
	pages                  []byte // their numbers
}

func appendStreamHead(dst []byte, head StreamHead, numbers uint64) []byte {
	for _, n := range []uint64{head.Last.MS, head.Last.Seq, head.Deleted.MS, head.Deleted.Seq, head.Added, numbers} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

// takeStreamHead takes what appendStreamHead has written off a body.
func takeStreamHead(body []byte) (head StreamHead, numbers uint64, rest []byte, ok bool) {
	var n [6]uint64
	for i := range n {
		if n[i], body, ok = takeUvarint(body); !ok {
			return head, 0, nil, false
		}
	}
	return StreamHead{StreamID{n[0], n[1]}, StreamID{n[2], n[3]}, n[4]}, n[5], body, n[5] <= maxNumber
}

// parseInlineStream reads a body that checkInlineStream has found sound.
func parseInlineStream(body []byte) (in inlineStream) {
	in.head, in.numbers, body, _ = takeStreamHead(body)
	in.entries, body, _ = takeBytes(body)
	in.nodes, body, _ = takeBytes(body)
	in.groups, _, _ = takeBytes(body)
	return in
}

// checkInlineStream reports whether a body of unknown origin is sound.
func checkInlineStream(body []byte) bool {
	_, _, body, ok := takeStreamHead(body)
	entries, body, ok1 := takeBytes(body)
	nodes, body, ok2 := takeBytes(body)
	groups, body, ok3 := takeBytes(body)
	return ok && ok1 && ok2 && ok3 && len(body) == 0 &&
		checkPacked(entries, soundEntry) && checkPacked(nodes, soundNode) && checkPacked(groups, soundGroupItem)
}

func soundEntry(key, value []byte) bool {
	_, ok := decodeEntry(StreamID{}, value)
	return ok && len(key) == streamIDSize
}

func soundNode(key, value []byte) bool {
	_, ok := decodeNode(key, value)
	return ok
}

// parsePagedStream reads a body that checkPagedStream has found sound.
func parsePagedStream(body []byte) (p pagedStream) {
	p.head, p.last, body, _ = takeStreamHead(body[objectSize:])
	p.pages, _ = takeRoots(body, &p.entries, &p.nodes, &p.groups)
	return p
}

// checkPagedStream reports whether a body of unknown origin is sound.
func checkPagedStream(body []byte) bool {
	if len(body) < objectSize {
		return false
	}
	_, _, body, ok := takeStreamHead(body[objectSize:])
	var entries, nodes, groups tree.Root
	return ok && checkRoots(body, &entries, &nodes, &groups) && (entries.Count == 0 || nodes.Count > 0)
}

// StreamEntry is an entry of a stream.
type StreamEntry struct {
	ID StreamID
	// texts are fields, each followed by its value: the length (uvarint) and bytes of
	// each.
	texts []byte
	// pairs is how many fields there are.
	pairs int
}

// Len returns how many fields the entry has.
func (e StreamEntry) Len() int { return e.pairs }

// Texts yields the fields, each followed by its value.
func (e StreamEntry) Texts(yield func(text []byte) bool) {
	for rest := e.texts; len(rest) > 0; {
		var text []byte
		if text, rest, _ = takeBytes(rest); !yield(text) {
			return
		}
	}
}

// appendEntry appends an entry's value: the number of fields (uvarint), and texts.
func appendEntry(dst []byte, texts [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(texts)/2))
	for _, text := range texts {
		dst = appendElement(dst, text)
	}
	return dst
}

// decodeEntry reads the value of an entry.
func decodeEntry(id StreamID, value []byte) (e StreamEntry, ok bool) {
	pairs, texts, ok := takeUvarint(value)
	if !ok || pairs > math.MaxInt32 {
		return e, false
	}
	return StreamEntry{id, texts, int(pairs)}, countTexts(texts) == 2*int(pairs)
}

// countTexts returns how many texts there are, -1 if they do not hold together.
func countTexts(texts []byte) (n int) {
	for ; len(texts) > 0; n++ {
		var ok bool
		if _, texts, ok = takeBytes(texts); !ok {
			return -1
		}
	}
	return n
}

// entry reads an entry whose value a shelf has handed out.
func (s *StreamView) entry(id StreamID, value []byte) (StreamEntry, bool) {
	e, ok := decodeEntry(id, value)
	if !ok {
		s.view.fail(errStreamItem)
	}
	return e, ok
}
