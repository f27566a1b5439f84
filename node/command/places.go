package command

import "iter"

// placeBytes is about what a place that was chosen takes in memory.
const placeBytes = 48

// Places returns a random choice of the places 0 to size-1, as the commands have it that
// take a count: -count of them, with repetitions, if count is negative; all of them in
// order if count is not below size; else count different ones, every choice as likely as
// any other, for which memory is taken. n is how many there are.
func (v *View) Places(count, size int64) (n int64, places iter.Seq[int64]) {
	r := v.Rand()
	switch {
	case count < 0:
		return -count, func(yield func(int64) bool) {
			for n := count; n < 0 && yield(r.Int64N(size)); n++ {
			}
		}
	case count >= size:
		return size, func(yield func(int64) bool) {
			for place := int64(0); place < size && yield(place); place++ {
			}
		}
	default:
		return count, func(yield func(int64) bool) {
			if v.Memory.Take(int(count) * placeBytes) {
				r.Different(count, size)(yield)
			}
		}
	}
}

// Different yields count different numbers from 0 to size-1, every choice as likely as
// any other (Floyd's algorithm).
func (r *Rand) Different(count, size int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		chosen := make(map[int64]bool, count)
		for last := size - count; last < size; last++ {
			place := r.Int64N(last + 1)
			if chosen[place] {
				place = last
			}
			chosen[place] = true
			if !yield(place) {
				return
			}
		}
	}
}
