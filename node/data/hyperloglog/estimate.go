package hyperloglog

import "math"

// histogram counts registers by their values.
type histogram [registerMax + 1]int

// union is what several sketches have seen together.
type union [registers]byte

// add raises the registers to those of s, and reports whether these make sense.
func (u *union) add(s *sketch) bool {
	return s.runs(func(first, n int, value byte) {
		for i := first; value > 0 && i < first+n; i++ {
			u[i] = max(u[i], value)
		}
	})
}

func (u *union) histogram() (h histogram) {
	for _, value := range u {
		h[value]++
	}
	return h
}

// histogram returns the one of the sketch; ok is false if its registers make no sense.
func (s *sketch) histogram() (h histogram, ok bool) {
	ok = s.runs(func(_, n int, value byte) { h[value] += n })
	return h, ok
}

// estimate returns how many elements have been seen, by Ertl's improved raw estimator
// ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6).
func (h *histogram) estimate() int64 {
	const (
		m     = float64(registers)
		alpha = 0.721347520444481703680 // 1 / (2 ln 2)
	)
	z := m * tau((m-float64(h[hashBits+1]))/m)
	for k := hashBits; k >= 1; k-- {
		z = (z + float64(h[k])) * 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	n := math.Round(alpha * m * m / z)
	if n >= math.MaxInt64 {
		return math.MinInt64 // as C converts it; only registers that no element makes have it
	}
	return int64(n)
}

// sigma is x + Σ x^(2^k)·2^(k-1) for k from 1 on.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; y += y {
		x *= x
		last := z
		if z += float64(x * y); z == last {
			return z
		}
	}
}

// tau is (1 - x - Σ (1-x^(2^-k))²·2^-k)/3 for k from 1 on.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for y, z := 0.5, 1-x; ; y *= 0.5 {
		x = math.Sqrt(x)
		last := z
		if z -= float64(float64((1-x)*(1-x)) * y); z == last {
			return z / 3
		}
	}
}
