package option

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// Deadline is a time of expiry as the options EX, PX, EXAT and PXAT give it. The zero
// value is none.
type Deadline struct {
	given    bool
	amount   []byte // a number
	unit     int64  // of the amount, in ms
	relative bool   // to now
}

// For returns the deadline in amount units of so many milliseconds from now.
func For(amount []byte, unit int64) Deadline {
	return Deadline{given: true, amount: amount, unit: unit, relative: true}
}

// Given reports whether there is one.
func (d *Deadline) Given() bool { return d.given }

// Take takes one of the options and its number, if the arguments go on with them. Only
// the same option may come again; it then counts anew.
func (d *Deadline) Take(args *command.Args) bool {
	next := Deadline{given: true, unit: 1}
	word := args.Peek()
	switch {
	case command.Is(word, "ex"):
		next.unit, next.relative = 1000, true
	case command.Is(word, "px"):
		next.relative = true
	case command.Is(word, "exat"):
		next.unit = 1000
	case command.Is(word, "pxat"):
	default:
		return false
	}
	if args.Len() < 2 || d.given && (d.unit != next.unit || d.relative != next.relative) {
		return false
	}
	args.Next()
	next.amount = args.Next()
	*d = next
	return true
}

// At returns the deadline in unix ms, always above 0: it may be over, but not
// before 1970. args name the command, for the error.
func (d *Deadline) At(now int64, args *command.Args) (at int64, err error) {
	n, ok := command.ParseInt(d.amount)
	if !ok {
		return 0, command.ErrNotInteger
	}
	base := int64(0)
	if d.relative {
		base = now
	}
	if n <= 0 || n > math.MaxInt64/d.unit || n*d.unit > math.MaxInt64-base {
		return 0, args.ErrExpireTime()
	}
	return base + n*d.unit, nil
}

// ExpireIf are the conditions NX, XX, GT and LT of EXPIRE and its kin.
type ExpireIf struct{ nx, xx, gt, lt bool }

// TakeAll takes the conditions, which are all the arguments that are left.
func (o *ExpireIf) TakeAll(args *command.Args) error {
	for args.More() {
		if !o.Take(args) {
			return command.Errorf("Unsupported option %s", command.CString(args.Next()))
		}
	}
	return o.Check()
}

// Take takes a condition, if the arguments go on with one: see Check.
func (o *ExpireIf) Take(args *command.Args) bool {
	switch {
	case args.Is("nx"):
		o.nx = true
	case args.Is("xx"):
		o.xx = true
	case args.Is("gt"):
		o.gt = true
	case args.Is("lt"):
		o.lt = true
	default:
		return false
	}
	return true
}

const (
	errNXAndOthers = resp.Error("ERR NX and XX, GT or LT options at the same time are not compatible")
	errGTAndLT     = resp.Error("ERR GT and LT options at the same time are not compatible")
)

// Check returns an error if conditions came together that exclude each other.
func (o *ExpireIf) Check() error {
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		return errNXAndOthers
	case o.gt && o.lt:
		return errGTAndLT
	default:
		return nil
	}
}

// Allow tells whether an expiry may be changed from old (0: none, which counts
// as never) to at.
func (o *ExpireIf) Allow(old, at int64) bool {
	switch {
	case o.nx && old != 0, o.xx && old == 0:
		return false
	case o.gt && (old == 0 || at <= old):
		return false
	case o.lt && old != 0 && at >= old:
		return false
	}
	return true
}
