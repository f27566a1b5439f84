package geo

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// TestSortFirst: the first elements are the smallest ones in order, all are still there,
// and an input that is made to be slow is sorted, too.
func TestSortFirst(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		n := 1 + rnd.IntN(120)
		hits := make([]hit, n)
		values := 1 + rnd.IntN(n)
		for i := range hits {
			hits[i] = hit{member: []byte(strconv.Itoa(i)), distance: float64(rnd.IntN(values))}
		}
		before := slices.Clone(hits)
		wanted, o := rnd.IntN(n+1), order(1+rnd.IntN(2))
		if rnd.IntN(4) == 0 {
			quick{o.compare}.sort(hits, wanted, rnd.IntN(3))
		} else {
			sortFirst(hits, wanted, o.compare)
		}
		in := slices.SortedStableFunc(slices.Values(before), func(a, b hit) int { return o.compare(&a, &b) })
		for i := range wanted {
			if hits[i].distance != in[i].distance {
				t.Fatalf("%d of %d: element %d is %v, want %v", wanted, n, i, hits[i].distance, in[i].distance)
			}
		}
		byMember := func(a, b hit) int { return cmp.Compare(string(a.member), string(b.member)) }
		slices.SortFunc(hits, byMember)
		slices.SortFunc(before, byMember)
		if !slices.EqualFunc(hits, before, func(a, b hit) bool { return string(a.member) == string(b.member) }) {
			t.Fatalf("%d of %d: elements are missing", wanted, n)
		}
	}
}

// TestReaches: the fast answer is the one of the exact distance, at its edge, too.
func TestReaches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	random := func(scale float64) place {
		return place{(rnd.Float64()*2 - 1) * maxLongitude * scale, (rnd.Float64()*2 - 1) * maxLatitude * scale}
	}
	for range 20000 {
		scale := math.Ldexp(1, -rnd.IntN(30))
		a, b := random(scale), random(scale)
		if rnd.IntN(10) == 0 {
			b.longitude = a.longitude
		}
		d := distance(a, b)
		for _, limit := range []float64{d, math.Nextafter(d, 0), math.Nextafter(d, math.Inf(1)), d * (1 - 1e-11), d * 1.01, d / 2, 0, 1e9} {
			if got, want := withinDistance(limit).reaches(a, b), d <= limit; got != want {
				t.Fatalf("%v and %v, %v m apart: within %v m is %v", a, b, d, limit, got)
			}
		}
	}
}

// TestCellsOfCircle: what is in a circle is in its cells, which are not much larger, where
// the map has no edge.
func TestCellsOfCircle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		s := shape{center: place{rnd.Float64()*300 - 150, rnd.Float64()*130 - 65}, unit: 1, radius: math.Ldexp(1+rnd.Float64(), rnd.IntN(20))}
		cells := s.cells()
		share := 0.0
		for _, c := range cells {
			from, to := c.scores()
			share += (to - from) / (1 << (2 * depth))
		}
		const mapSize = 2 * math.Pi * earthRadius // m
		if most := math.Pow(16*s.radius/mapSize, 2) + math.Pow(2, -50); share > 9*most {
			t.Fatalf("%+v: the cells have %v of the map", s, share)
		}
		m := s.measure()
		p := place{s.center.longitude + (rnd.Float64()-0.5)*s.radius/30000, s.center.latitude + (rnd.Float64()-0.5)*s.radius/50000}
		score := cellOf(p, depth, maxLatitude).score()
		if !m.contains(placeOfScore(score)) {
			continue
		}
		in := func(c cell) bool {
			from, to := c.scores()
			return from <= score && score < to
		}
		if !slices.ContainsFunc(cells, in) {
			t.Fatalf("%+v: the cells do not have %v", s, p)
		}
	}
}
