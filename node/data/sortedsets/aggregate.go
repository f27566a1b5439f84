package sortedsets

import "math"

// aggregate is how the scores that a member has in several sets become one.
type aggregate uint8

const (
	aggregateSum aggregate = iota
	aggregateMin
	aggregateMax
)

// weighted returns a score times a weight; infinity times nothing is no number.
// The conversion keeps processors that multiply and add in one step from doing
// so: replicas on different ones must agree to the last bit.
func weighted(score, weight float64) float64 { return float64(score * weight) }

// of returns the score that a member has by a and b together. The sum of both
// infinities is 0. A b that is no number makes the sum 0, and is neither less
// nor more than a.
func (g aggregate) of(a, b float64) float64 {
	switch {
	case g == aggregateSum:
		return numberOrZero(a + b)
	case g == aggregateMin && b < a, g == aggregateMax && b > a:
		return b
	default:
		return a
	}
}

func numberOrZero(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}
