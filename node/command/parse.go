package command

import "strings"

// parseInt reads a decimal integer as strictly as Redis: no plus sign, no
// spaces, no leading zeros, no "-0".
func parseInt(b []byte) (n int64, ok bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var u uint64 // 19 digits fit
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		u = u*10 + uint64(d-'0')
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true // also for 1<<63, which is its own negative
	case !negative && u < 1<<63:
		return int64(u), true
	default:
		return 0, false
	}
}

// is reports whether arg is the option word, which is in lower case, in any case.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, b := range arg {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != word[i] {
			return false
		}
	}
	return true
}

// lower returns arg in lower case.
func lower(arg []byte) string { return strings.ToLower(string(arg)) }
