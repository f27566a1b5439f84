package geo

import "math"

// Sine, cosine and arc sine are computed here, to 100 bits and more, and rounded once.
// math.Sin and its kin will not do: what they return depends on the processor, which
// may have instructions of its own, or multiply and add in one step, and a distance
// that is stored must be the same on all replicas. The results are those of the C
// libraries that Redis is built with but for the last bit of one in some hundred, in
// which those libraries differ from each other, too.

// double2 is an unevaluated sum of two numbers, the second one at most half a unit in
// the last place of the first: a number of 106 bits. Every product that is added to
// something is rounded first by a conversion, or is an explicit math.FMA: else the
// compiler might join the two where the processor can.
type double2 struct{ hi, lo float64 }

// sum returns a + b for any two numbers, exactly.
func sum(a, b float64) double2 {
	s := a + b
	c := s - a
	return double2{s, (a - (s - c)) + (b - c)}
}

// quickSum is sum for an a that is not smaller than b.
func quickSum(a, b float64) double2 {
	s := a + b
	return double2{s, b - (s - a)}
}

// product returns a·b exactly.
func product(a, b float64) double2 {
	p := float64(a * b)
	return double2{p, math.FMA(a, b, -p)}
}

func (x double2) plus(y double2) double2 {
	s, t := sum(x.hi, y.hi), sum(x.lo, y.lo)
	s = quickSum(s.hi, s.lo+t.hi)
	return quickSum(s.hi, s.lo+t.lo)
}

func (x double2) times(y double2) double2 {
	p := product(x.hi, y.hi)
	return quickSum(p.hi, p.lo+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

func (x double2) negative() double2 { return double2{-x.hi, -x.lo} }

// scaled returns x times a power of two.
func (x double2) scaled(by float64) double2 { return double2{x.hi * by, x.lo * by} }

// root returns the square root of x, which is not negative.
func (x double2) root() double2 {
	if x.hi <= 0 {
		return double2{}
	}
	r := math.Sqrt(x.hi)
	rest := x.plus(product(r, r).negative())
	return quickSum(r, rest.hi/(2*r))
}

// halfPi is π/2 in three parts.
func halfPi() (a, b, c float64) {
	return 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33
}

// series is a power series in x², whose first coefficients are needed to 106 bits, and
// the others to 53.
type series struct {
	first  [7]double2
	others [6]float64
}

// sineSeries has the coefficients of x³, x⁵, … of the sine: -1/3!, 1/5!, …
var sineSeries = series{
	[7]double2{
		{-0x1.5555555555555p-3, -0x1.5555555555555p-57},
		{0x1.1111111111111p-7, 0x1.1111111111111p-63},
		{-0x1.a01a01a01a01ap-13, -0x1.a01a01a01a01ap-73},
		{0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73},
		{-0x1.ae64567f544e4p-26, 0x1.c062e06d1f209p-80},
		{0x1.6124613a86d09p-33, 0x1.f28e0cc748ebep-87},
		{-0x1.ae7f3e733b81fp-41, -0x1.1d8656b0ee8cbp-97},
	},
	[6]float64{
		0x1.952c77030ad4ap-49, -0x1.2f49b46814157p-57, 0x1.71b8ef6dcf572p-66,
		-0x1.761b41316381ap-75, 0x1.3f3ccdd165fa9p-84, -0x1.d1ab1c2dccea3p-94,
	},
}

// cosineSeries has those of x⁴, x⁶, … of the cosine: 1/4!, -1/6!, …
var cosineSeries = series{
	[7]double2{
		{0x1.5555555555555p-5, 0x1.5555555555555p-59},
		{-0x1.6c16c16c16c17p-10, 0x1.f49f49f49f49fp-65},
		{0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
		{-0x1.27e4fb7789f5cp-22, -0x1.cbbc05b4fa99ap-76},
		{0x1.1eed8eff8d898p-29, -0x1.2aec959e14c06p-83},
		{-0x1.93974a8c07c9dp-37, -0x1.05d6f8a2efd1fp-92},
		{0x1.ae7f3e733b81fp-45, 0x1.1d8656b0ee8cbp-101},
	},
	[6]float64{
		-0x1.6827863b97d97p-53, 0x1.e542ba4020225p-62, -0x1.0ce396db7f853p-70,
		0x1.f2cf01972f578p-80, -0x1.88e85fc6a4e5ap-89, 0x1.0a18a2635085dp-98,
	},
}

// of returns the value of the series for the square of x.
func (s *series) of(square double2) double2 {
	rest := 0.0
	for i := len(s.others) - 1; i >= 0; i-- {
		rest = math.FMA(rest, square.hi, s.others[i])
	}
	total := double2{hi: rest}
	for i := len(s.first) - 1; i >= 0; i-- {
		total = total.times(square).plus(s.first[i])
	}
	return total
}

// sinSmall and cosSmall are for at most π/4, a little more or less.
func sinSmall(x double2) double2 {
	square := x.times(x)
	return x.plus(x.times(square).times(sineSeries.of(square)))
}

func cosSmall(x double2) double2 {
	square := x.times(x)
	return double2{hi: 1}.plus(square.scaled(-0.5)).plus(square.times(square).times(cosineSeries.of(square)))
}

// quarters returns x as a number of right angles and a rest of at most half of one. x
// is at most some right angles.
func quarters(x float64) (n int, rest double2) {
	a, b, c := halfPi()
	k := math.RoundToEven(x / a)
	rest = sum(x, -float64(k*a)) // k has few bits: see below
	if p := product(k, a); p.lo != 0 {
		rest = double2{x, 0}.plus(p.negative())
	}
	rest = rest.plus(product(-k, b)).plus(double2{hi: -k * c})
	return int(k), rest
}

// sine and cosine are for angles of some turns at most.
func sine(x float64) float64 {
	n, rest := quarters(x)
	return turned(n, rest)
}

func cosine(x float64) float64 {
	n, rest := quarters(x)
	return turned(n+1, rest)
}

// turned returns the sine of n right angles and a rest.
func turned(n int, rest double2) float64 {
	var s double2
	if n%2 == 0 {
		s = sinSmall(rest)
	} else {
		s = cosSmall(rest)
	}
	if n&2 != 0 {
		return -s.hi
	}
	return s.hi
}

// arcsine is for 0 to 1; what is above has none.
func arcsine(x float64) float64 {
	switch {
	case x > 1:
		return math.NaN()
	case x <= 0.5:
		return arcsineSmall(double2{hi: x}).hi
	default: // asin x = π/2 - 2·asin √((1-x)/2)
		a, b, _ := halfPi()
		half := arcsineSmall(double2{hi: (1 - x) / 2}.root())
		return double2{a, b}.plus(half.scaled(-2)).hi
	}
}

// arcsineSmall is for 0 to 1/2. It improves a first guess y by asin t, with
// t = sin(asin x - y) = x·cos y - √(1-x²)·sin y, which is small.
func arcsineSmall(x double2) double2 {
	square := float64(x.hi * x.hi)
	guess := math.FMA(square, math.FMA(square, math.FMA(square, 15.0/336, 3.0/40), 1.0/6), 1)
	y := double2{hi: guess * x.hi}
	root := double2{hi: 1}.plus(x.times(x).negative()).root()
	t := x.times(cosSmall(y)).plus(root.times(sinSmall(y)).negative())
	square = float64(t.hi * t.hi)
	cube := float64(square * t.hi)
	return y.plus(t).plus(double2{hi: math.FMA(cube, 1.0/6, float64(float64(cube*square)*(3.0/40)))})
}
