package command

import (
	"math"
	"strconv"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// Args are a command's arguments, taken one after the other: a handler begins
// behind the command's name (and its subcommand's). What is taken is valid during
// the call only.
//
// The methods that convert return Redis's errors, which a handler returns as they are.
type Args struct {
	cmd  *Command
	all  [][]byte
	next int
}

// Set makes a the arguments of a whole command that names cmd, none of them taken.
func (a *Args) Set(cmd *Command, all [][]byte) {
	*a = Args{cmd: cmd, all: all, next: 1}
	if cmd.parent != nil {
		a.next = 2
	}
}

// Command returns the row that the arguments are for.
func (a *Args) Command() *Command { return a.cmd }

// All returns the whole command. Do not change it.
func (a *Args) All() [][]byte { return a.all }

// Name returns the command's name, with its container's: "config|get".
func (a *Args) Name() string { return a.cmd.FullName() }

// Spelling returns the first word of the command's name as the client wrote it.
func (a *Args) Spelling() []byte { return a.all[0] }

// Slot returns the slot of the command's keys: see Command.Slot.
func (a *Args) Slot() (s uint16, keyed, cross bool) { return a.cmd.Slot(a.all) }

// Len returns how many arguments are left.
func (a *Args) Len() int { return len(a.all) - a.next }

// More reports whether an argument is left.
func (a *Args) More() bool { return a.next < len(a.all) }

// Next takes an argument. A command's arity says how many there are at least; behind
// those, nil is what an argument is that is missing.
func (a *Args) Next() []byte {
	if !a.More() {
		return nil
	}
	a.next++
	return a.all[a.next-1]
}

// Last takes the last argument that is left.
func (a *Args) Last() []byte {
	last := len(a.all) - 1
	arg := a.all[last]
	a.all = a.all[:last]
	return arg
}

// Peek is Next, but does not take it.
func (a *Args) Peek() []byte {
	if !a.More() {
		return nil
	}
	return a.all[a.next]
}

// Rest takes all arguments that are left.
func (a *Args) Rest() [][]byte {
	rest := a.all[a.next:]
	a.next = len(a.all)
	return rest
}

// Take takes n arguments, which are there.
func (a *Args) Take(n int) [][]byte {
	taken := a.all[a.next : a.next+n : a.next+n]
	a.next += n
	return taken
}

// Is takes the next argument if it is word, in any case; word is in lower case.
func (a *Args) Is(word string) bool { return a.IsWith(word, 0) }

// IsWith is Is for a word that n arguments must follow: where fewer do, it is not
// taken, and Syntax is what there is left to say.
func (a *Args) IsWith(word string, n int) bool {
	if a.Len() <= n || !Is(a.all[a.next], word) {
		return false
	}
	a.next++
	return true
}

// End returns a syntax error if an argument is left.
func (a *Args) End() error {
	if a.More() {
		return ErrSyntax
	}
	return nil
}

// Int takes an integer.
func (a *Args) Int() (int64, error) {
	if n, ok := ParseInt(a.Next()); ok {
		return n, nil
	}
	return 0, ErrNotInteger
}

// IntWithin takes an integer between low and high.
func (a *Args) IntWithin(low, high int64) (int64, error) {
	n, err := a.Int()
	if err == nil && (n < low || n > high) {
		return 0, errNotWithin(low, high)
	}
	return n, err
}

// NotNegative takes an integer that is not below 0: how many elements to pop, say.
func (a *Args) NotNegative() (int64, error) {
	if n, ok := ParseInt(a.Next()); ok && n >= 0 {
		return n, nil
	}
	return 0, Errorf("value is out of range, must be positive")
}

// Cursor takes SCAN's cursor as C's strtoul reads it: nothing is 0, -1 the largest
// number, and a zero byte ends the text.
func (a *Args) Cursor() (uint64, error) {
	digits, _, _ := strings.Cut(string(a.Next()), "\x00")
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	} else if digits == "" {
		return 0, nil
	}
	cursor, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, Errorf("invalid cursor")
	}
	if negative {
		cursor = -cursor
	}
	return cursor, nil
}

// Count takes a number of keys or elements that is above 0. One that is so large that
// there cannot be as many is only known to be so.
func (a *Args) Count(what string) (int, error) {
	n, ok := ParseInt(a.Next())
	if !ok || n <= 0 {
		return 0, resp.Error("ERR " + what + " should be greater than 0")
	}
	return int(min(n, math.MaxInt32)), nil
}

// Float takes a number with a fraction.
func (a *Args) Float() (float64, error) {
	if f, ok := ParseFloat(a.Next()); ok {
		return f, nil
	}
	return 0, ErrNotFloat
}

// Keys takes a number of keys and the keys, as the commands have them whose key spec
// is a KeyNum.
func (a *Args) Keys(what string) ([][]byte, error) {
	n, err := a.Count(what)
	if err != nil {
		return nil, err
	}
	if n > a.Len() {
		return nil, ErrSyntax
	}
	return a.Take(n), nil
}

// ErrArity is the error for a wrong number of arguments.
func (a *Args) ErrArity() error { return errArity(a.Name()) }

// ErrExpireTime is the error for a time of expiry that cannot be.
func (a *Args) ErrExpireTime() error {
	return resp.Error("ERR invalid expire time in '" + a.Name() + "' command")
}

// Is reports whether arg is word, which is in lower case, in any case.
func Is(arg []byte, word string) bool {
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

// ParseInt reads a decimal integer as strictly as Redis: no plus sign, no
// spaces, no leading zeros, no "-0".
func ParseInt(b []byte) (n int64, ok bool) {
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

// ParseFloat reads a number as C's strtod does, decimal or hexadecimal, infinity too,
// if it is the whole of b. NaN, what is too large for a float64 and what is so small
// that it becomes 0 is no number, as in Redis.
func ParseFloat(b []byte) (f float64, ok bool) {
	const longest = 5 * 1024 // as Redis
	if len(b) == 0 || len(b) > longest {
		return 0, false
	}
	text, hex, exponent, digits := string(b), false, false, false
	for i, c := range b {
		switch {
		case c == '_': // Go's, in hexadecimal numbers
			return 0, false
		case c|0x20 == 'x':
			hex = true
		case hex && c|0x20 == 'p':
			exponent = true
		case !hex && c|0x20 == 'e' && i > 0:
			exponent = true
		case '1' <= c && c <= '9' && !exponent, hex && !exponent && 'a' <= c|0x20 && c|0x20 <= 'f':
			digits = true
		}
	}
	if hex && !exponent {
		text += "p0"
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f == 0 && digits || f != f {
		return 0, false
	}
	return f, true
}
