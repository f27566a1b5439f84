package option

import (
	"bytes"
	"math"
	"strconv"
)

// Strtod reads the longest number at the beginning of b as C's strtod does in
// the C locale: white space and a sign before it, decimal or hexadecimal,
// infinity and nan in any case. n is how many bytes belong to it, 0 if there is
// no number. outOfRange says that a number too large became infinite, or one
// too small became zero.
func Strtod(b []byte) (f float64, n int, outOfRange bool) {
	start := 0
	for start < len(b) && isSpace(b[start]) {
		start++
	}
	digits := start
	if digits < len(b) && (b[digits] == '-' || b[digits] == '+') {
		digits++
	}
	negative := digits > start && b[start] == '-'
	if size := wordLength(b[digits:]); size > 0 {
		f = math.NaN()
		if b[digits]|0x20 == 'i' {
			f = math.Inf(1)
		}
		if negative {
			f = -f
		}
		return f, digits + size, false
	}
	size, hexadecimal, exponent := numberLength(b[digits:])
	if size == 0 {
		return 0, 0, false
	}
	n = digits + size
	text := string(b[start:n])
	if hexadecimal && !exponent {
		text += "p0" // Go wants one
	}
	f, err := strconv.ParseFloat(text, 64)
	if f == 0 {
		outOfRange = !isZero(b[digits:n], hexadecimal)
	}
	return f, n, outOfRange || err != nil
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// wordLength returns the length of the number at the beginning of b that is
// written as a word, infinity or nan, or 0.
func wordLength(b []byte) int {
	for _, word := range []string{"infinity", "inf"} {
		if len(b) >= len(word) && bytes.EqualFold(b[:len(word)], []byte(word)) {
			return len(word)
		}
	}
	if len(b) >= 3 && bytes.EqualFold(b[:3], []byte("nan")) {
		return 3 // C would also read what stands in brackets behind it: it stays no number
	}
	return 0
}

// numberLength returns the length of the number without a sign at the beginning
// of b, 0 if there is none, and whether it is hexadecimal and has an exponent.
func numberLength(b []byte) (n int, hexadecimal, exponent bool) {
	mark := byte('e')
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' {
		if size := mantissaLength(b[2:], true); size > 0 {
			n, hexadecimal, mark = 2+size, true, 'p'
		}
	}
	if !hexadecimal {
		n = mantissaLength(b, false)
	}
	if n == 0 || n == len(b) || b[n]|0x20 != mark {
		return n, hexadecimal, false
	}
	end := n + 1
	if end < len(b) && (b[end] == '-' || b[end] == '+') {
		end++
	}
	first := end
	for end < len(b) && isDigit(b[end], false) {
		end++
	}
	if end == first {
		return n, hexadecimal, false // the letter belongs to what follows
	}
	return end, hexadecimal, true
}

// mantissaLength returns how many bytes of b are digits with at most one point
// among them, 0 if there is no digit.
func mantissaLength(b []byte, hexadecimal bool) (n int) {
	digits, point := 0, false
	for n < len(b) {
		switch {
		case isDigit(b[n], hexadecimal):
			digits++
		case b[n] == '.' && !point:
			point = true
		default:
			if digits == 0 {
				return 0
			}
			return n
		}
		n++
	}
	if digits == 0 {
		return 0
	}
	return n
}

func isDigit(c byte, hexadecimal bool) bool {
	letter := c | 0x20
	return '0' <= c && c <= '9' || hexadecimal && 'a' <= letter && letter <= 'f'
}

// isZero reports whether all digits of the number, which has no sign, are 0.
func isZero(b []byte, hexadecimal bool) bool {
	marks := "eE"
	if hexadecimal {
		b, marks = b[2:], "pP"
	}
	if i := bytes.IndexAny(b, marks); i >= 0 {
		b = b[:i]
	}
	return len(bytes.Trim(b, "0.")) == 0
}
