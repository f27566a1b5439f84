package option

import (
	"math"
	"testing"
)

// TestStrtod: what strtod takes from the beginning of a text, as glibc does.
func TestStrtod(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		text       string
		want       float64
		n          int
		outOfRange bool
	}{
		{"", 0, 0, false},
		{"1", 1, 1, false},
		{"-1.5e3x", -1500, 6, false},
		{" \t\n\v\f\r+7", 7, 8, false},
		{"  ", 0, 0, false},
		{"+", 0, 0, false},
		{".", 0, 0, false},
		{".5", .5, 2, false},
		{"5.", 5, 2, false},
		{"1.2.3", 1.2, 3, false},
		{"1e", 1, 1, false},
		{"1e+", 1, 1, false},
		{"1_0", 1, 1, false},
		{"0x", 0, 1, false},
		{"0xg", 0, 1, false},
		{"0x.", 0, 1, false},
		{"0x.8", .5, 4, false},
		{"0x10", 16, 4, false},
		{"0X1P+4z", 16, 6, false},
		{"0x1p", 1, 3, false},
		{"0x1_0", 1, 3, false},
		{"inf", inf, 3, false},
		{"-Infinity", -inf, 9, false},
		{"+infinit", inf, 4, false},
		{"1e999", inf, 5, true},
		{"-1e999", -inf, 6, true},
		{"1e-999", 0, 6, true},
		{"0e-999", 0, 6, false},
		{"0x0p-9999", 0, 9, false},
		{"0x1p-9999", 0, 9, true},
		{"1e99999999999999999999", inf, 22, true},
		{"4e-324", 5e-324, 6, false},
		{"9007199254740993", 9007199254740992, 16, false},
		{"1\x002", 1, 1, false},
	} {
		got, n, outOfRange := Strtod([]byte(c.text))
		if got != c.want || n != c.n || outOfRange != c.outOfRange {
			t.Errorf("%q: %v, %d bytes, out of range: %v", c.text, got, n, outOfRange)
		}
	}
	for _, text := range []string{"nan", "-NaN", "nan(1)"} {
		if got, n, _ := Strtod([]byte(text)); !math.IsNaN(got) || n == 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
	if zero, _, _ := Strtod([]byte("-0")); !math.Signbit(zero) {
		t.Error("-0 lost its sign")
	}
}
