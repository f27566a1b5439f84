package keyspace

import (
	"encoding/binary"
)

// inlineHash is a hash whose fields are in the body of its metadata record:
//
//	number of fields                           uvarint
//	soonest time of expiry of them, 0: none    uvarint, only with flagVolatile
//	then for each field
//	    length (uvarint), field, length (uvarint), value
//	    time of expiry, 0: none                uvarint, only with flagVolatile
//
// The order is Redis's: fields with a time of expiry first, by that time, then
// the others; among equals the last one that came to its place is the last.
type inlineHash struct {
	volatile bool
	count    int
	soonest  int64
	items    []byte
}

// hashField is a field of an inlineHash, or, if not ok, the end.
type hashField struct {
	field, value []byte
	expireAt     int64
	start, end   int // its place in the items
	ok           bool
}

// parseInlineHash reads a body that checkInlineHash has found sound.
func parseInlineHash(flags Flags, body []byte) inlineHash {
	count, size := binary.Uvarint(body)
	in := inlineHash{volatile: flags&flagVolatile != 0, count: int(count)}
	body = body[size:]
	if in.volatile {
		soonest, size := binary.Uvarint(body)
		in.soonest, body = int64(soonest), body[size:]
	}
	in.items = body
	return in
}

// checkInlineHash returns the soonest time of expiry that a body of unknown
// origin tells, and whether the body is sound.
func checkInlineHash(flags Flags, body []byte) (soonest int64, ok bool) {
	volatile := flags&flagVolatile != 0
	count, body, ok := takeUvarint(body)
	if !ok || count == 0 {
		return 0, false
	}
	told := uint64(0)
	if volatile {
		if told, body, ok = takeUvarint(body); !ok {
			return 0, false
		}
	}
	for ; count > 0 && len(body) > 0; count-- {
		at := uint64(0)
		if _, body, ok = takeBytes(body); !ok {
			return 0, false
		}
		if _, body, ok = takeBytes(body); !ok {
			return 0, false
		}
		if volatile {
			if at, body, ok = takeUvarint(body); !ok || int64(at) < 0 {
				return 0, false
			}
		}
		soonest = sooner(soonest, int64(at))
	}
	return soonest, count == 0 && len(body) == 0 && soonest == int64(told)
}

// takeUvarint takes a number off b.
func takeUvarint(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// takeBytes takes a length and as many bytes off b.
func takeBytes(b []byte) (taken, rest []byte, ok bool) {
	n, b, ok := takeUvarint(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// takeSize reads the length at an offset of sound items, and where what is that
// long begins.
func takeSize(items []byte, start int) (at, size int) {
	if size := items[start]; size < 0x80 {
		return start + 1, int(size)
	}
	n, width := binary.Uvarint(items[start:])
	return start + width, int(n)
}

func (in *inlineHash) first() hashField { return in.at(0) }

func (in *inlineHash) after(f hashField) hashField { return in.at(f.end) }

// at returns the field that starts at an offset of the items.
func (in *inlineHash) at(start int) hashField {
	if start >= len(in.items) {
		return hashField{}
	}
	f := hashField{start: start, ok: true}
	at, size := takeSize(in.items, start)
	f.field = in.items[at : at+size : at+size]
	at, size = takeSize(in.items, at+size)
	f.end = at + size
	f.value = in.items[at:f.end:f.end]
	if in.volatile {
		at, size := binary.Uvarint(in.items[f.end:])
		f.expireAt, f.end = int64(at), f.end+size
	}
	return f
}

// find returns a field, expired or not.
func (in *inlineHash) find(field []byte) hashField {
	items := in.items
	for start := 0; start < len(items); {
		at, size := takeSize(items, start)
		if size == len(field) && string(items[at:at+size]) == string(field) {
			return in.at(start)
		}
		at, size = takeSize(items, at+size)
		start = at + size
		if in.volatile {
			for items[start] >= 0x80 {
				start++
			}
			start++
		}
	}
	return hashField{}
}

func appendField(dst []byte, volatile bool, field, value []byte, expireAt int64) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(field))), field...)
	dst = append(binary.AppendUvarint(dst, uint64(len(value))), value...)
	if volatile {
		dst = binary.AppendUvarint(dst, uint64(expireAt))
	}
	return dst
}

// set appends the items to dst as they are with a field set, whose present state
// is old, and returns the soonest time of expiry of them.
func (in *inlineHash) set(
	dst []byte, flags Flags, old hashField, field, value []byte, expireAt int64,
) (items []byte, soonest int64) {
	if flags&flagVolatile == 0 { // nothing moves
		end := len(in.items)
		if old.ok {
			end = old.start
		}
		dst = appendField(append(dst, in.items[:end]...), false, field, value, 0)
		if old.ok {
			dst = append(dst, in.items[old.end:]...)
		}
		return dst, 0
	}
	stays := old.ok && old.expireAt == expireAt
	placed := false
	for f := in.first(); f.ok; f = in.after(f) {
		isOld := old.ok && f.start == old.start
		if !placed && (isOld && stays || !stays && expireAt != 0 && (f.expireAt == 0 || f.expireAt > expireAt)) {
			dst, placed = appendField(dst, true, field, value, expireAt), true
		}
		if !isOld {
			dst = appendField(dst, true, f.field, f.value, f.expireAt)
			soonest = sooner(soonest, f.expireAt)
		}
	}
	if !placed {
		dst = appendField(dst, true, field, value, expireAt)
	}
	return dst, sooner(soonest, expireAt)
}

// filter appends to dst the items that keep wants, and returns how many they are
// and their soonest time of expiry.
func (in *inlineHash) filter(dst []byte, keep func(*hashField) bool) (items []byte, count int, soonest int64) {
	for f := in.first(); f.ok; f = in.after(f) {
		if keep(&f) {
			dst = append(dst, in.items[f.start:f.end]...)
			soonest = sooner(soonest, f.expireAt)
			count++
		}
	}
	return dst, count, soonest
}
