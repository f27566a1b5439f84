package rdb

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strconv"
)

// Field is a field of a hash.
type Field struct {
	Name, Value []byte
	ExpireAt    int64 // unix ms; 0: never
}

// EncodeString returns the payload of a string.
func EncodeString(value []byte) []byte {
	e := begin(typeString, len(value))
	e.string(value)
	return seal(e.out, versionWritten)
}

// EncodeList returns the payload of a list.
func EncodeList(elements iter.Seq[[]byte]) []byte {
	var w listWriter
	for element := range elements {
		w.add(element)
	}
	w.endNode()
	e := begin(typeQuicklist2, len(w.nodes.out))
	e.length(uint64(w.count))
	return seal(append(e.out, w.nodes.out...), versionWritten)
}

// largestNode is how many bytes a node of a list has, as with list-max-listpack-size
// -2, Redis's default.
const largestNode = 8 << 10

// listWriter writes the nodes of a list.
type listWriter struct {
	nodes encoder
	count int
	pack  listpackWriter // the node that grows
}

func (w *listWriter) add(element []byte) {
	if len(element) > largestNode {
		w.endNode()
		w.node(singleNode, element)
		return
	}
	before := w.pack
	if w.pack.add(element); before.n > 0 && len(w.pack.b) >= largestNode { // with its end it is larger
		w.pack = before
		w.endNode()
		w.pack.add(element)
	}
}

// endNode ends the node that grows, if it has an element.
func (w *listWriter) endNode() {
	if w.pack.n > 0 {
		w.node(listpackNode, w.pack.bytes())
		w.pack.reset()
	}
}

func (w *listWriter) node(kind uint64, blob []byte) {
	w.nodes.length(kind)
	w.nodes.blob(blob)
	w.count++
}

// EncodeSet returns the payload of a set of n members. If numbers, all of them are
// integers, and Redis keeps them as such.
func EncodeSet(n int, numbers bool, members iter.Seq[[]byte]) []byte {
	if numbers {
		e := begin(typeSetIntset, 0)
		e.blob(intset(members))
		return seal(e.out, versionWritten)
	}
	// Also for a small one, as Redis 7.0 has no listpack of it. Later ones make one.
	e := begin(typeSet, 0)
	e.length(uint64(n))
	for member := range members {
		e.string(member)
	}
	return seal(e.out, versionWritten)
}

// intset makes one.
func intset(members iter.Seq[[]byte]) []byte {
	var numbers []int64
	width := 2
	for member := range members {
		n, _ := integer(member)
		switch {
		case n != int64(int32(n)):
			width = 8
		case n != int64(int16(n)):
			width = max(width, 4)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, intsetHead+8*len(numbers)), uint32(width))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(numbers)))
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))[:len(b)+width]
	}
	return b
}

// EncodeSortedSet returns the payload of a sorted set of n members: of a small one, as
// a listpack, in ascending order; of a large one in any, and descending is the one that
// Redis reads fastest.
func EncodeSortedSet(n int, small bool, members iter.Seq2[[]byte, float64]) []byte {
	if !small {
		e := begin(typeZSet2, 0)
		e.length(uint64(n))
		for member, score := range members {
			e.string(member)
			e.out = binary.LittleEndian.AppendUint64(e.out, math.Float64bits(score))
		}
		return seal(e.out, versionWritten)
	}
	var pack listpackWriter
	var text [32]byte
	for member, score := range members {
		pack.add(member)
		pack.add(appendScore(text[:0], score))
	}
	e := begin(typeZSetListpack, 0)
	e.blob(pack.bytes())
	return seal(e.out, versionWritten)
}

// appendScore appends a score as text: that of an integer if it is one.
func appendScore(dst []byte, score float64) []byte {
	const exact = 1 << 53
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	case score == math.Trunc(score) && math.Abs(score) < exact:
		return strconv.AppendInt(dst, int64(score), 10)
	default:
		return strconv.AppendFloat(dst, score, 'g', -1, 64)
	}
}

// EncodeHash returns the payload of a hash of n fields. soonest is the first time at
// which one of them expires, 0 if none does. The fields of a small hash, which is
// written as a listpack, come in the order of their times of expiry, those that have
// none last.
func EncodeHash(n int, small bool, soonest int64, fields iter.Seq[Field]) []byte {
	switch {
	case small && soonest == 0:
		e := begin(typeHashListpack, 0)
		e.blob(packFields(false, fields))
		return seal(e.out, versionWritten)
	case small:
		e := begin(typeListpackExpiry, 0)
		e.out = binary.LittleEndian.AppendUint64(e.out, uint64(soonest))
		e.blob(packFields(true, fields))
		return seal(e.out, versionExpiry)
	case soonest == 0:
		e := begin(typeHash, 0)
		e.length(uint64(n))
		for f := range fields {
			e.string(f.Name)
			e.string(f.Value)
		}
		return seal(e.out, versionWritten)
	default:
		e := begin(typeHashExpiry, 0)
		e.out = binary.LittleEndian.AppendUint64(e.out, uint64(soonest))
		e.length(uint64(n))
		for f := range fields {
			later := uint64(0)
			if f.ExpireAt != 0 {
				later = uint64(f.ExpireAt-soonest) + 1
			}
			e.length(later)
			e.string(f.Name)
			e.string(f.Value)
		}
		return seal(e.out, versionExpiry)
	}
}

// packFields makes a listpack of fields, with their times or without.
func packFields(times bool, fields iter.Seq[Field]) []byte {
	var pack listpackWriter
	for f := range fields {
		pack.add(f.Name)
		pack.add(f.Value)
		if times {
			pack.addInt(f.ExpireAt)
		}
	}
	return pack.bytes()
}

// encoder writes what a payload's value is made of.
type encoder struct {
	out    []byte
	lzf    compressor
	packed []byte // its memory
}

func begin(kind byte, size int) *encoder {
	return &encoder{out: append(make([]byte, 0, 1+5+size+footer), kind)}
}

// length writes a length, or another number.
func (e *encoder) length(n uint64) {
	switch {
	case n < 1<<6:
		e.out = append(e.out, byte(n))
	case n < 1<<14:
		e.out = append(e.out, 0x40|byte(n>>8), byte(n))
	case n < 1<<32:
		e.out = binary.BigEndian.AppendUint32(append(e.out, 0x80), uint32(n))
	default:
		e.out = binary.BigEndian.AppendUint64(append(e.out, 0x81), n)
	}
}

// string writes an element: as a number if it is one, and not a long one.
func (e *encoder) string(s []byte) {
	n, ok := integer(s)
	switch {
	case ok && n == int64(int8(n)):
		e.out = append(e.out, 0xc0|formInt8, byte(n))
	case ok && n == int64(int16(n)):
		e.out = binary.LittleEndian.AppendUint16(append(e.out, 0xc0|formInt16), uint16(n))
	case ok && n == int64(int32(n)):
		e.out = binary.LittleEndian.AppendUint32(append(e.out, 0xc0|formInt32), uint32(n))
	default:
		e.blob(s)
	}
}

// blob writes a string: compressed if it is not short, and that makes it shorter.
func (e *encoder) blob(s []byte) {
	const (
		short = 20
		saves = 4
	)
	if len(s) > short {
		var ok bool
		if e.packed, ok = e.lzf.compress(e.packed[:0], s, len(s)-saves); ok {
			e.out = append(e.out, 0xc0|formLZF)
			e.length(uint64(len(e.packed)))
			e.length(uint64(len(s)))
			e.out = append(e.out, e.packed...)
			return
		}
	}
	e.length(uint64(len(s)))
	e.out = append(e.out, s...)
}
