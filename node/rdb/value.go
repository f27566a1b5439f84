package rdb

import "hash/maphash"

// Kind is the type of a value.
type Kind uint8

// The types of values.
const (
	String Kind = iota + 1
	List
	Set
	SortedSet
	Hash
	Streams
)

// Value is what a payload holds. Its slices may share the payload's memory.
type Value struct {
	Kind Kind
	// Elements are the string, alone; a list's elements, in order; a set's or a sorted
	// set's members; or a hash's fields, each followed by its value. There is at least
	// one. A member or field comes once.
	Elements [][]byte
	// Scores are those of a sorted set's members, which are numbers. The members are
	// in any order.
	Scores []float64
	// ExpireAt are the times of expiry of a hash's fields in unix ms, 0 for none; nil
	// if no field can have one. They may be over.
	ExpireAt []int64
	// Stream is a stream, which has no Elements.
	Stream *Stream
}

// Len returns how many elements, members or fields the value has.
func (v *Value) Len() int {
	if v.Kind == Hash {
		return len(v.Elements) / 2
	}
	return len(v.Elements)
}

// Field returns a field of a hash.
func (v *Value) Field(i int) (field, value []byte, expireAt int64) {
	if v.ExpireAt != nil {
		expireAt = v.ExpireAt[i]
	}
	return v.Elements[2*i], v.Elements[2*i+1], expireAt
}

// Member returns a member of a sorted set.
func (v *Value) Member(i int) (member []byte, score float64) { return v.Elements[i], v.Scores[i] }

// distinct reports whether each of the elements from the first one on, in steps, comes
// once. Its table is open-addressed: numbers of elements, 0 where there is none.
func distinct(elements [][]byte, step int) bool {
	size := 8
	for size < 2*len(elements)/step {
		size *= 2
	}
	table, seed := make([]uint32, size), maphash.MakeSeed()
	for i := 0; i < len(elements); i += step {
		at := int(maphash.Bytes(seed, elements[i])) & (size - 1)
		for ; table[at] != 0; at = (at + 1) & (size - 1) {
			if string(elements[table[at]-1]) == string(elements[i]) {
				return false
			}
		}
		table[at] = uint32(i) + 1
	}
	return true
}
