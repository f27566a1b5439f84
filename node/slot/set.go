package slot

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Range is a contiguous run of slots; both ends belong to it.
type Range struct{ Start, End uint16 }

// String returns the range as CLUSTER NODES prints it: "5" or "0-5460".
func (r Range) String() string {
	if r.Start == r.End {
		return strconv.Itoa(int(r.Start))
	}
	return fmt.Sprintf("%d-%d", r.Start, r.End)
}

// Set is a set of slots. The zero value is empty. A Set is 2 KiB: pass it by
// pointer where that matters. Methods with a value receiver may be called
// concurrently; Add and Remove need exclusive access.
type Set struct{ words [Count / 64]uint64 }

// Full returns the set of all slots.
func Full() Set {
	var s Set
	s.AddRange(Range{0, Count - 1})
	return s
}

// Add puts slot n into the set. It panics when n is not a slot.
func (s *Set) Add(n uint16) { s.words[n/64] |= 1 << (n % 64) }

// AddRange puts every slot of r into the set.
func (s *Set) AddRange(r Range) {
	for n := int(r.Start); n <= int(r.End); n++ {
		s.Add(uint16(n))
	}
}

// Remove takes slot n out of the set.
func (s *Set) Remove(n uint16) { s.words[n/64] &^= 1 << (n % 64) }

// Union adds every slot of o.
func (s *Set) Union(o *Set) {
	for i := range s.words {
		s.words[i] |= o.words[i]
	}
}

// Subtract takes every slot of o out of the set.
func (s *Set) Subtract(o *Set) {
	for i := range s.words {
		s.words[i] &^= o.words[i]
	}
}

// Has reports whether slot n is in the set.
func (s *Set) Has(n uint16) bool { return s.words[n/64]&(1<<(n%64)) != 0 }

// Len returns the number of slots in the set.
func (s *Set) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether the set has no slot.
func (s *Set) Empty() bool { return *s == Set{} }

// Intersects reports whether the two sets share a slot, and the lowest one.
func (s *Set) Intersects(o *Set) (uint16, bool) {
	for i := range s.words {
		if common := s.words[i] & o.words[i]; common != 0 {
			return uint16(i*64 + bits.TrailingZeros64(common)), true
		}
	}
	return 0, false
}

// All calls yield for every slot of the set in ascending order; it is an
// iterator for a range loop.
func (s *Set) All(yield func(uint16) bool) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			if !yield(uint16(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// Ranges returns the set as ascending, maximal, disjoint ranges.
func (s *Set) Ranges() []Range {
	var ranges []Range
	for n := range s.All {
		if last := len(ranges) - 1; last >= 0 && ranges[last].End+1 == n {
			ranges[last].End = n
			continue
		}
		ranges = append(ranges, Range{n, n})
	}
	return ranges
}

// FromRanges returns the union of ranges.
func FromRanges(ranges []Range) Set {
	var s Set
	for _, r := range ranges {
		s.AddRange(r)
	}
	return s
}

// String returns the set's ranges separated by single spaces.
func (s Set) String() string {
	ranges := s.Ranges()
	parts := make([]string, len(ranges))
	for i, r := range ranges {
		parts[i] = r.String()
	}
	return strings.Join(parts, " ")
}
