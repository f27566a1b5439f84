package longdouble

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzLongDouble: what is read as a number is written as one in plain digits,
// which read as the same again. TestAsRedis of package server compares numbers
// with Redis's.
func FuzzLongDouble(f *testing.F) {
	for _, text := range []string{
		"0", "-0", "3.0e3", "5005.60000000000000009", "0x1.8p-3", "1e4932", "-1e-4951", "1e99999999999", "+.5", "inf", "nan",
		"18446744073709551617", "0.000000000000000005", strings.Repeat("9", 4900), "0x" + strings.Repeat("f", 5000), "0X\xc8p",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, ok := Parse(text)
		if !ok || n.IsInf() {
			return
		}
		written := Format(n)
		again, ok := Parse(written)
		if !ok {
			t.Fatalf("%q is written as %q, which is no number", text, written)
		}
		if twice := Format(again); !bytes.Equal(twice, written) {
			t.Fatalf("%q is written as %q, and that as %q", text, written, twice)
		}
	})
}
