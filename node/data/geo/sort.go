package geo

import (
	"math/bits"
	"slices"
)

// sortFirst sorts so that the first wanted hits are those that come first, in order; the
// others stand behind them in any. Elements that compare as equal come out in the order
// in which Redis has them: all of them are sorted by a stable sort as glibc's, a part of
// them by Bentley and McIlroy's quicksort ("Engineering a Sort Function", 1993), which
// leaves alone what is beyond that part.
func sortFirst(hits []hit, wanted int, compare func(a, b *hit) int) {
	if wanted == len(hits) {
		slices.SortStableFunc(hits, func(a, b hit) int { return compare(&a, &b) })
		return
	}
	quick{compare}.sort(hits, wanted, 4*bits.Len(uint(len(hits))))
}

// quick is the quicksort.
type quick struct {
	compare func(a, b *hit) int
}

// sort sorts the first wanted elements of a. When it has divided in vain so often as
// fair says, the input is made to slow it down, and is sorted in another way.
func (q quick) sort(a []hit, wanted, fair int) {
	const few = 7
	for wanted > 0 && len(a) > 1 {
		switch {
		case len(a) < few:
			q.insert(a)
			return
		case fair == 0:
			slices.SortStableFunc(a, func(a, b hit) int { return q.compare(&a, &b) })
			return
		}
		fair--
		smaller, larger := q.divide(a)
		q.sort(a[:smaller], min(wanted, smaller), fair)
		a, wanted = a[larger:], wanted-larger
	}
}

// insert is an insertion sort.
func (q quick) insert(a []hit) {
	for i := 1; i < len(a); i++ {
		for j := i; j > 0 && q.compare(&a[j-1], &a[j]) > 0; j-- {
			a[j-1], a[j] = a[j], a[j-1]
		}
	}
}

// divide chooses an element, and moves those that are smaller in front of its equals,
// and those that are larger behind them, which begin at the index larger.
func (q quick) divide(a []hit) (smaller, larger int) {
	n := len(a)
	chosen := q.choose(a)
	a[0], a[chosen] = a[chosen], a[0]
	// Equals gather at both ends: in front of low, and behind high.
	low, i, j, high := 1, 1, n-1, n-1
	for {
		for ; i <= j && q.compare(&a[i], &a[0]) <= 0; i++ {
			if q.compare(&a[i], &a[0]) == 0 {
				a[low], a[i] = a[i], a[low]
				low++
			}
		}
		for ; i <= j && q.compare(&a[j], &a[0]) >= 0; j-- {
			if q.compare(&a[j], &a[0]) == 0 {
				a[j], a[high] = a[high], a[j]
				high--
			}
		}
		if i > j {
			break
		}
		a[i], a[j] = a[j], a[i]
		i++
		j--
	}
	swap(a[:i], min(low, i-low))
	swap(a[i:], min(high-j, n-1-high))
	return i - low, n - (high - j)
}

// swap exchanges the first k elements with the last k.
func swap(a []hit, k int) {
	for i := range k {
		at := len(a) - k + i
		a[i], a[at] = a[at], a[i]
	}
}

// choose returns the index of an element that is likely to be in the middle.
func (q quick) choose(a []hit) int {
	const some, many = 7, 40
	n := len(a)
	first, middle, last := 0, n/2, n-1
	if n > many {
		d := n / 8
		first = q.median(a, first, first+d, first+2*d)
		middle = q.median(a, middle-d, middle, middle+d)
		last = q.median(a, last-2*d, last-d, last)
	}
	if n > some {
		middle = q.median(a, first, middle, last)
	}
	return middle
}

// median returns that one of three indexes whose element is in the middle.
func (q quick) median(a []hit, i, j, k int) int {
	less := func(i, j int) bool { return q.compare(&a[i], &a[j]) < 0 }
	switch {
	case less(i, j) && less(j, k), !less(i, j) && less(k, j):
		return j
	case less(i, j) == less(i, k):
		return k
	default:
		return i
	}
}
