// Package longdouble counts with numbers as Redis does in INCRBYFLOAT and
// HINCRBYFLOAT, where a C long double is the 80 bits of an x86 processor: a mantissa
// of 64 bits, rounded to the nearest, ties to even. Values so small that a long double
// loses bits of them are written as 0, so those bits do not matter.
package longdouble

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
)

const (
	mantissaBits = 64
	// maxExponent and minExponent bound e in 2^(e-1) <= |x| < 2^e.
	maxExponent = 16384
	minExponent = -16445
	// maxDigits bounds the text of a number in bytes.
	maxDigits = 5 * 1024
)

// New returns 0.
func New() *big.Float {
	return new(big.Float).SetPrec(mantissaBits).SetMode(big.ToNearestEven)
}

// Max returns the largest number.
func Max() *big.Float {
	f := New().SetUint64(math.MaxUint64)
	return f.SetMantExp(f, maxExponent-mantissaBits)
}

// Parse reads a number as C's strtold does, decimal or hexadecimal,
// infinity too, if it is the whole of b. What is too large or too small for a
// long double is no number, as in Redis.
func Parse(b []byte) (*big.Float, bool) {
	if len(b) >= maxDigits {
		return nil, false
	}
	digits := b
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative, digits = b[0] == '-', b[1:]
	}
	if bytes.EqualFold(digits, []byte("inf")) || bytes.EqualFold(digits, []byte("infinity")) {
		return new(big.Float).SetInf(negative), true
	}
	f, ok := parseUnsigned(digits)
	if !ok {
		return nil, false
	}
	if negative {
		f.Neg(f)
	}
	return f, true
}

func parseUnsigned(b []byte) (f *big.Float, ok bool) {
	base, marks := 10, "eE"
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' {
		b, base, marks = b[2:], 16, "pP"
	}
	mantissa, exponent := b, int64(0)
	if i := bytes.IndexAny(b, marks); i >= 0 {
		mantissa = b[:i]
		if exponent, ok = parseExponent(b[i+1:]); !ok {
			return nil, false
		}
	}
	n, fraction, ok := parseMantissa(mantissa, base)
	switch {
	case !ok:
		return nil, false
	case n.Sign() == 0:
		return New(), true
	case base == 16:
		f = New().SetInt(n)
		f.SetMantExp(f, int(exponent-4*fraction))
	default:
		f, ok = scaled(n, exponent-fraction)
	}
	if !ok {
		return nil, false
	}
	return f, inRange(f)
}

// inRange reports whether the number is neither infinite nor zero as a long
// double. Half of the smallest one, the power of two at the lower end, is a tie
// and becomes zero.
func inRange(f *big.Float) bool {
	e := f.MantExp(nil)
	return e <= maxExponent && (e > minExponent || e == minExponent && f.MinPrec() > 1)
}

// parseMantissa reads digits with at most one point among them, and returns
// them as a whole number, and how many stand behind the point.
func parseMantissa(b []byte, base int) (n *big.Int, fraction int64, ok bool) {
	whole, behind, _ := bytes.Cut(b, []byte{'.'})
	digits := append(bytes.Clone(whole), behind...)
	for _, d := range digits { // SetString would take signs and underscores, too
		decimal := '0' <= d && d <= '9'
		if letter := d | 0x20; !decimal && (base == 10 || letter < 'a' || letter > 'f') {
			return nil, 0, false
		}
	}
	n, ok = new(big.Int).SetString(string(digits), base)
	return n, int64(len(behind)), ok
}

// parseExponent reads the number behind e or p. A large one becomes one that is
// still too large.
func parseExponent(b []byte) (n int64, ok bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative, b = b[0] == '-', b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	const enough = 1e6
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = min(n*10+int64(d-'0'), enough)
	}
	if negative {
		n = -n
	}
	return n, true
}

// scaled returns n times ten to the power of exponent, rounded once. ok is
// false far outside the range of a long double.
func scaled(n *big.Int, exponent int64) (f *big.Float, ok bool) {
	const farthest = 5000 // a long double ends at 1e4932 and 1e-4951
	size := int64(len(n.Text(10)))
	if size+exponent > farthest || size+exponent < -farthest {
		return nil, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(exponent, -exponent)), nil)
	if exponent >= 0 {
		return New().SetInt(power.Mul(power, n)), true
	}
	return New().Quo(new(big.Float).SetInt(n), new(big.Float).SetInt(power)), true
}

// Add returns a + b; ok is false if that is no finite number.
func Add(a, b *big.Float) (sum *big.Float, ok bool) {
	if a.IsInf() || b.IsInf() {
		return nil, false
	}
	sum = New().Add(a, b)
	return sum, sum.MantExp(nil) <= maxExponent
}

// Format writes f as Redis does: 17 digits behind the point, without
// the zeros at their end.
func Format(f *big.Float) []byte {
	return trimmed(f.Append(nil, 'f', digits))
}

// FormatFloat64 is Format for a float64 that is finite.
func FormatFloat64(f float64) []byte {
	return trimmed(strconv.AppendFloat(nil, f, 'f', digits, 64))
}

// digits are written behind the point, at most.
const digits = 17

// trimmed returns a number without the zeros at its end.
func trimmed(text []byte) []byte {
	text = bytes.TrimRight(text, "0")
	text = bytes.TrimSuffix(text, []byte{'.'})
	if string(text) == "-0" {
		return text[1:]
	}
	return text
}
