package rdb

import (
	"math"
	"strconv"
	"strings"
)

// Types of values in a payload.
const (
	typeString       = 0
	typeList         = 1
	typeSet          = 2
	typeZSet         = 3 // scores as text
	typeHash         = 4
	typeZSet2        = 5 // scores as float64
	typeHashZipmap   = 9
	typeListZiplist  = 10
	typeSetIntset    = 11
	typeZSetZiplist  = 12
	typeHashZiplist  = 13
	typeQuicklist    = 14 // of ziplists
	typeHashListpack = 16
	typeZSetListpack = 17
	typeQuicklist2   = 18 // of listpacks, and single elements
	typeSetListpack  = 20
	// Types with fields that expire: of Redis 7.4 before its release, where they are
	// not Valkey's, and since.
	typeHashExpiryEarly   = 22
	typeHashValkey        = 22
	typeListpackExpiryOld = 23
	typeHashExpiry        = 24
	typeListpackExpiry    = 25
	// Streams, of Redis 5, 7.0, 7.2 and 8.6: see stream.
	typeStream  = 15
	typeStream2 = 19
	typeStream3 = 21
	typeStream4 = 26
)

// Types that are known, but not read.
const (
	typeModule  = 6
	typeModule2 = 7
)

// What a node of a typeQuicklist2 is.
const (
	singleNode   = 1
	listpackNode = 2
)

// Decode returns the value that a payload holds.
func Decode(payload []byte, limits Limits) (*Value, error) {
	body, version, err := open(payload)
	if err != nil {
		return nil, err
	}
	r := &reader{rest: body, limits: limits}
	v := r.value(version)
	switch {
	case r.err != nil:
		return nil, r.err
	case len(r.rest) > 0 || len(v.Elements) == 0 && v.Kind != Streams:
		return nil, ErrFormat
	}
	step := 1
	switch v.Kind {
	case String, List, Streams:
		return v, nil
	case Hash:
		step = 2
	}
	if !distinct(v.Elements, step) {
		return nil, ErrFormat
	}
	return v, nil
}

// value reads a type and the value.
func (r *reader) value(version uint16) *Value {
	kind := r.byte()
	switch kind {
	case typeString:
		return &Value{Kind: String, Elements: [][]byte{r.string()}}
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		return &Value{Kind: List, Elements: r.list(kind)}
	case typeSet:
		return &Value{Kind: Set, Elements: r.plain(1)}
	case typeSetIntset:
		return &Value{Kind: Set, Elements: r.intset(nil)}
	case typeSetListpack:
		return &Value{Kind: Set, Elements: r.listpack(nil)}
	case typeZSet, typeZSet2:
		return r.sortedSet(kind == typeZSet)
	case typeZSetZiplist:
		return r.packedSortedSet(r.ziplist(nil))
	case typeZSetListpack:
		return r.packedSortedSet(r.listpack(nil))
	case typeHash:
		return &Value{Kind: Hash, Elements: r.plain(2)}
	case typeHashZipmap:
		return r.packedHash(r.zipmap(nil))
	case typeHashZiplist:
		return r.packedHash(r.ziplist(nil))
	case typeHashListpack:
		return r.packedHash(r.listpack(nil))
	case typeStream, typeStream2, typeStream3, typeStream4:
		return &Value{Kind: Streams, Stream: r.stream(kind)}
	case typeModule, typeModule2:
		r.fail(ErrType)
	default:
		return r.expiringHash(kind, version)
	}
	return nil
}

// plain reads a number of elements, and as often so many strings.
func (r *reader) plain(each int) (elements [][]byte) {
	for n := r.count() * each; n > 0 && r.err == nil; n-- {
		elements = append(elements, r.string())
	}
	return elements
}

// list reads a list.
func (r *reader) list(kind byte) (elements [][]byte) {
	switch kind {
	case typeList:
		return r.plain(1)
	case typeListZiplist:
		return r.ziplist(nil)
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		node := uint64(listpackNode)
		if kind == typeQuicklist2 {
			node = r.length()
		}
		switch {
		case kind == typeQuicklist:
			elements = r.ziplist(elements)
		case node == listpackNode:
			elements = r.listpack(elements)
		case node == singleNode:
			elements = append(elements, r.string())
			if len(elements[len(elements)-1]) == 0 { // Redis has none of it
				r.fail(ErrFormat)
			}
		default:
			r.fail(ErrFormat)
		}
	}
	return elements
}

// sortedSet reads one in plain form.
func (r *reader) sortedSet(scoresAreText bool) *Value {
	v := &Value{Kind: SortedSet}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		member, score := r.string(), 0.0
		if scoresAreText {
			score = r.scoreText()
		} else {
			score = math.Float64frombits(r.uint64())
		}
		r.addMember(v, member, score)
	}
	return v
}

func (r *reader) addMember(v *Value, member []byte, score float64) {
	if math.IsNaN(score) {
		r.fail(ErrFormat)
	}
	v.Elements, v.Scores = append(v.Elements, member), append(v.Scores, score)
}

// scoreText reads a score as Redis 2 wrote it: its length and text, or what is no
// number as a length that is none.
func (r *reader) scoreText() float64 {
	const minusInf, plusInf, notANumber = 255, 254, 253
	switch n := r.byte(); n {
	case minusInf:
		return math.Inf(-1)
	case plusInf:
		return math.Inf(1)
	case notANumber:
		return math.NaN()
	default:
		return r.float(r.take(uint64(n)))
	}
}

// float returns the number that a text is, as printf writes it.
func (r *reader) float(text []byte) float64 {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || strings.ContainsAny(string(text), "_xX") {
		r.fail(ErrFormat)
	}
	return f
}

// packedSortedSet makes a sorted set of members that are each followed by a score.
func (r *reader) packedSortedSet(elements [][]byte) *Value {
	v := &Value{Kind: SortedSet}
	if len(elements)%2 != 0 {
		r.fail(ErrFormat)
	}
	for i := 0; i+1 < len(elements) && r.err == nil; i += 2 {
		r.addMember(v, elements[i], r.float(elements[i+1]))
	}
	return v
}

// packedHash makes a hash of fields that are each followed by a value.
func (r *reader) packedHash(elements [][]byte) *Value {
	if len(elements)%2 != 0 {
		r.fail(ErrFormat)
	}
	return &Value{Kind: Hash, Elements: elements}
}

// expiringHash reads a hash whose fields can expire, or fails if it is of no known
// type.
func (r *reader) expiringHash(kind byte, version uint16) *Value {
	switch valkey := version >= versionValkey; {
	case valkey && kind == typeHashValkey:
		return r.plainExpiring(r.valkeyField)
	case valkey:
	case kind == typeHashExpiryEarly:
		return r.plainExpiring(func() (at uint64, field, value []byte) { return r.length(), r.string(), r.string() })
	case kind == typeHashExpiry:
		soonest := r.uint64()
		return r.plainExpiring(func() (at uint64, field, value []byte) { return r.later(soonest), r.string(), r.string() })
	case kind == typeListpackExpiry:
		r.uint64() // the soonest time, which the fields tell as well
		return r.packedExpiring(r.listpack(nil))
	case kind == typeListpackExpiryOld:
		return r.packedExpiring(r.listpack(nil))
	}
	r.fail(ErrFormat)
	return nil
}

// valkeyField reads a field of a typeHashValkey, which says -1 for never.
func (r *reader) valkeyField() (at uint64, field, value []byte) {
	field, value = r.string(), r.string()
	switch at = r.uint64(); at {
	case math.MaxUint64:
		return 0, field, value
	case 0: // in 1970, which is over
		return 1, field, value
	default:
		return at, field, value
	}
}

// later reads a time of a typeHashExpiry: 0 for never, else how much later than soonest
// it is, and 1.
func (r *reader) later(soonest uint64) uint64 {
	switch after := r.length(); {
	case after == 0:
		return 0
	case after > math.MaxInt64 || soonest > math.MaxInt64:
		r.fail(ErrFormat)
		return 0
	default:
		return soonest + after - 1
	}
}

// plainExpiring reads a number of fields, and as many of them.
func (r *reader) plainExpiring(next func() (at uint64, field, value []byte)) *Value {
	v := &Value{Kind: Hash}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at, field, value := next()
		if at > math.MaxInt64 {
			r.fail(ErrFormat)
		}
		v.Elements, v.ExpireAt = append(v.Elements, field, value), append(v.ExpireAt, int64(at))
	}
	return v
}

// packedExpiring makes a hash of fields that are each followed by a value and a time.
func (r *reader) packedExpiring(elements [][]byte) *Value {
	v := &Value{Kind: Hash}
	if len(elements)%3 != 0 {
		r.fail(ErrFormat)
	}
	for i := 0; i+2 < len(elements) && r.err == nil; i += 3 {
		at, ok := integer(elements[i+2])
		if !ok || at < 0 {
			r.fail(ErrFormat)
		}
		v.Elements, v.ExpireAt = append(v.Elements, elements[i], elements[i+1]), append(v.ExpireAt, at)
	}
	return v
}
