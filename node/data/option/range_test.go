package option

import (
	"math"
	"testing"
)

// TestPositions: what LRANGE and ZRANGE take for a range.
func TestPositions(t *testing.T) {
	for _, c := range []struct{ first, last, length, from, to int64 }{
		{0, -1, 5, 0, 5},
		{1, 2, 5, 1, 3},
		{-2, -1, 5, 3, 5},
		{-9, 9, 5, 0, 5},
		{3, 2, 5, 0, 0},
		{5, 9, 5, 0, 0},
		{0, -6, 5, 0, 0},
		{0, -1, 0, 0, 0},
		{math.MinInt64, math.MaxInt64, 5, 0, 5},
		{math.MaxInt64, math.MinInt64, 5, 0, 0},
	} {
		if from, to := Positions(c.first, c.last, c.length); from != c.from || to != c.to {
			t.Errorf("%d to %d of %d: %d to %d", c.first, c.last, c.length, from, to)
		}
	}
}
