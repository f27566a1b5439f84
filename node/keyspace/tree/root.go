package tree

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Root is a tree's state beside its pages. The zero Root is the empty tree.
type Root struct {
	Count  int64  // items
	Pages  uint32 // pages
	Page   uint32 // the page at the top
	Height uint8  // levels of pages; 1: the page at the top is a leaf
}

var errRoot = errors.New("tree: these bytes are no root")

// Append appends the root's encoding: 1 byte for the empty tree, about 8 for a
// million items.
func (r Root) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.Count))
	if r.Count == 0 {
		return dst
	}
	dst = append(dst, r.Height)
	dst = binary.AppendUvarint(dst, uint64(r.Page))
	return binary.AppendUvarint(dst, uint64(r.Pages))
}

// DecodeRoot decodes what Append has written, and returns what comes after.
func DecodeRoot(src []byte) (Root, []byte, error) {
	count, rest, ok := uvarint(src, maxCount)
	if !ok {
		return Root{}, nil, errRoot
	}
	if count == 0 {
		return Root{}, rest, nil
	}
	if len(rest) == 0 || rest[0] == 0 || rest[0] > maxHeight {
		return Root{}, nil, errRoot
	}
	r := Root{Count: int64(count), Height: rest[0]}
	page, rest, ok := uvarint(rest[1:], 1<<32-1)
	pages, rest, ok2 := uvarint(rest, 1<<32-1)
	if !ok || !ok2 || page == 0 || pages == 0 {
		return Root{}, nil, errRoot
	}
	r.Page, r.Pages = uint32(page), uint32(pages)
	return r, rest, nil
}

// uvarint takes a number of at most limit off src, written in the one way that
// has no needless byte.
func uvarint(src []byte, limit uint64) (uint64, []byte, bool) {
	n, width := binary.Uvarint(src)
	if width <= 0 || n > limit || width > 1 && src[width-1] == 0 {
		return 0, nil, false
	}
	return n, src[width:], true
}

// maxFree bounds the free numbers that Numbers remembers.
const maxFree = 8

// ErrNumbers says that an object has used up its 2^32-1 page numbers. Building
// its trees anew in another object helps.
var ErrNumbers = errors.New("tree: no page number is left")

var errNumbers = errors.New("tree: these bytes are no page numbers")

// Numbers hands out the page numbers of one object, beginning with 1, to all
// its trees. It remembers the last few that came back, so that a queue, which
// takes one at one end when it gives one back at the other, goes on for ever;
// others are not used again. The zero Numbers has given out none.
type Numbers struct {
	last uint32
	free []uint32
}

func (n *Numbers) take() (uint32, error) {
	if k := len(n.free); k > 0 {
		number := n.free[k-1]
		n.free = n.free[:k-1]
		return number, nil
	}
	if n.last == 1<<32-1 {
		return 0, ErrNumbers
	}
	n.last++
	return n.last, nil
}

func (n *Numbers) giveBack(number uint32) {
	switch {
	case number == n.last:
		n.last--
		return
	case number > n.last || slices.Contains(n.free, number):
		return // a damaged page named it
	}
	if len(n.free) == maxFree {
		n.free = slices.Delete(n.free, 0, 1)
	}
	n.free = append(n.free, number)
}

// Last is the largest number that may be in use.
func (n Numbers) Last() uint32 { return n.last }

// Clone is a copy that shares nothing.
func (n Numbers) Clone() Numbers {
	n.free = slices.Clone(n.free)
	return n
}

// Append appends the encoding.
func (n Numbers) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(n.last))
	dst = append(dst, byte(len(n.free)))
	for _, number := range n.free {
		dst = binary.AppendUvarint(dst, uint64(number))
	}
	return dst
}

// DecodeNumbers decodes what Append has written, and returns what comes after.
func DecodeNumbers(src []byte) (Numbers, []byte, error) {
	last, rest, ok := uvarint(src, 1<<32-1)
	if !ok || len(rest) == 0 || rest[0] > maxFree {
		return Numbers{}, nil, errNumbers
	}
	n := Numbers{last: uint32(last)}
	free, rest := int(rest[0]), rest[1:]
	for range free {
		var number uint64
		if number, rest, ok = uvarint(rest, last); !ok || number == 0 || slices.Contains(n.free, uint32(number)) {
			return Numbers{}, nil, errNumbers
		}
		n.free = append(n.free, uint32(number))
	}
	return n, rest, nil
}
