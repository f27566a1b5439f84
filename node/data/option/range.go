package option

// Within turns a range of n elements, whose ends may be negative and count from
// the back then, into indexes. first > last means that it is empty.
func Within(start, end, n int64) (first, last int64) {
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	return start, min(end, n-1)
}

// Backwards reports whether a range ends before it begins, seen from the back.
// GETRANGE and BITCOUNT find nothing then, even where both ends lie before the
// value and Within would make the first element of them.
func Backwards(start, end int64) bool { return start < 0 && end < 0 && start > end }

// Positions turns a range of n elements of a list or a sorted set, whose ends may be
// negative and count from the back then, into positions: of the first element, and of
// the one behind the last. They are equal if there is none.
func Positions(first, last, n int64) (from, to int64) {
	if first < 0 {
		first = max(first+n, 0)
	}
	if last < 0 {
		last += n
	}
	last = min(last, n-1)
	if first > last {
		return 0, 0
	}
	return first, last + 1
}
