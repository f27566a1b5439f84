package geo

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactly returns a function's value with some hundred bits from its power series, whose
// terms step makes, each from the one before, until they no longer count.
func exactly(first *big.Float, step func(n int64, term *big.Float) *big.Float) *big.Float {
	total, term := first, step(0, first)
	for n := int64(1); term.Sign() != 0 && term.MantExp(nil) > total.MantExp(nil)-precision; n++ {
		total = wide(0).Add(total, term)
		term = step(n, term)
	}
	return total
}

const precision = 300

func wide(x float64) *big.Float { return new(big.Float).SetPrec(precision + 100).SetFloat64(x) }

func exactSine(x *big.Float) *big.Float {
	square := wide(0).Mul(x, x)
	return exactly(x, func(n int64, term *big.Float) *big.Float {
		term = wide(0).Mul(term, square)
		return term.Quo(term, wide(-float64((2*n+2)*(2*n+3))))
	})
}

func exactCosine(x float64) *big.Float {
	square := wide(0).Mul(wide(x), wide(x))
	return exactly(wide(1), func(n int64, term *big.Float) *big.Float {
		term = wide(0).Mul(term, square)
		return term.Quo(term, wide(-float64((2*n+1)*(2*n+2))))
	})
}

// TestTrigonometry: the functions return the number that is nearest to the exact
// value.
func TestTrigonometry(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	check := func(name string, x, got float64, exact *big.Float) {
		t.Helper()
		if want, _ := exact.Float64(); got != want {
			t.Errorf("%s(%v) = %v, want %v", name, x, got, want)
		}
	}
	xs := []float64{0, 1, math.Pi, -math.Pi, math.Pi / 2, -math.Pi / 2, math.Pi / 4, math.Nextafter(math.Pi/4, 1), 1e-300, 1e-8, 3.2}
	for range 3000 {
		x := (rnd.Float64()*2 - 1) * math.Pi
		xs = append(xs, x, math.Ldexp(x, -rnd.IntN(60)))
	}
	for _, x := range xs {
		check("sine", x, sine(x), exactSine(wide(x)))
		check("cosine", x, cosine(x), exactCosine(x))
	}
}

// TestArcsine: the arc sine is the nearest number, as the sine of what is half way to its
// neighbours shows.
func TestArcsine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	xs := []float64{0, 1, 0.5, math.Nextafter(0.5, 1), math.Nextafter(1, 0), 1e-300, 1e-8, 0.1}
	for range 3000 {
		x := rnd.Float64()
		xs = append(xs, x, math.Ldexp(x, -rnd.IntN(60)), 1-math.Ldexp(x, -rnd.IntN(53)))
	}
	for _, x := range xs {
		got := arcsine(x)
		if x == 0 && got == 0 || x == 1 && got == math.Pi/2 {
			continue
		}
		below, above := middle(got, math.Inf(-1)), middle(got, math.Inf(1))
		if exactSine(below).Cmp(wide(x)) > 0 || x < 1 && exactSine(above).Cmp(wide(x)) < 0 {
			t.Errorf("arcsine(%v) = %v is not the nearest number", x, got)
		}
	}
	if !math.IsNaN(arcsine(math.Nextafter(1, 2))) {
		t.Error("there is an arc sine of more than 1")
	}
}

// middle returns the number half way from x to its neighbour.
func middle(x, towards float64) *big.Float {
	m := wide(0).Add(wide(x), wide(math.Nextafter(x, towards)))
	return m.Quo(m, wide(2))
}

func BenchmarkSine(b *testing.B) {
	for i := range b.N {
		sink += sine(float64(i&1023) / 400)
	}
}

func BenchmarkArcsine(b *testing.B) {
	for i := range b.N {
		sink += arcsine(float64(i&1023) / 1024)
	}
}

var sink float64
