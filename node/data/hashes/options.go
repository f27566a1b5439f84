package hashes

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// latest is the largest time of expiry that Redis takes for a field, in unix ms.
const latest = 1<<46 - 1

// takeTime takes a time of expiry, in units of so many ms from base on, and returns it
// in unix ms.
func takeTime(args *command.Args, unit, base int64) (at int64, err error) {
	n, err := args.Int()
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, command.Errorf("invalid expire time, must be >= 0")
	case n > (latest-base)/unit:
		return 0, args.ErrExpireTime()
	}
	return base + n*unit, nil
}

// fieldList is what follows the word FIELDS: the number of fields, and those, each with
// its value if the command sets some.
type fieldList struct {
	list [][]byte
	step int // 1, or 2 with values
	// bad is the error for a number that is none, or not above 0, and short the one
	// for arguments that end where the number should be.
	bad, short error
}

// take takes the list, behind the word.
func (f *fieldList) take(args *command.Args) error {
	if f.list != nil {
		return command.Errorf("FIELDS keyword specified multiple times")
	}
	if args.Len() < 2 {
		return f.short
	}
	n, err := args.Int()
	switch {
	case err != nil || n <= 0 || n > math.MaxInt32:
		return f.bad
	case int64(args.Len()) < n*int64(f.step):
		return errCount
	}
	f.list = args.Take(int(n) * f.step)
	return nil
}

const (
	errCount     = resp.Error("ERR wrong number of arguments")
	errNumFields = resp.Error("ERR Parameter `numFields` should be greater than 0")
	errFields    = resp.Error("ERR invalid number of fields")
)

// unknown is the error for an argument that says nothing to the command.
func unknown(arg []byte) error {
	return command.Errorf("unknown argument: %s", command.Printable(arg, 128))
}

// condition says which fields get a time of expiry: those that NX, XX, GT or LT allow.
type condition int

const (
	always condition = iota
	ifNone
	ifSome
	ifLater
	ifSooner
)

// take takes a condition, and reports whether one was there.
func (c *condition) take(args *command.Args) (taken bool, err error) {
	given := always
	switch {
	case args.Is("nx"):
		given = ifNone
	case args.Is("xx"):
		given = ifSome
	case args.Is("gt"):
		given = ifLater
	case args.Is("lt"):
		given = ifSooner
	default:
		return false, nil
	}
	if *c != always && *c != given {
		return true, command.Errorf("Multiple condition flags specified")
	}
	*c = given
	return true, nil
}

// allows reports whether a field's time of expiry may become at; old is 0 for none,
// which is later than any.
func (c condition) allows(old, at int64) bool {
	switch c {
	case ifNone:
		return old == 0
	case ifSome:
		return old != 0
	case ifLater:
		return old != 0 && at > old
	case ifSooner:
		return old == 0 || at < old
	default:
		return true
	}
}

// expiry is what HGETEX and HSETEX do to the time of expiry of fields.
type expiry struct {
	given bool
	keep  bool  // KEEPTTL
	at    int64 // 0: none
	// other is the option beside EX, PX, EXAT and PXAT: PERSIST or KEEPTTL.
	other string
}

// take takes an option, and reports whether one was there; now is what times to live
// count from.
func (e *expiry) take(args *command.Args, now int64) (taken bool, err error) {
	for _, o := range []struct {
		word       string
		unit, base int64
	}{{"ex", 1000, now}, {"px", 1, now}, {"exat", 1000, 0}, {"pxat", 1, 0}} {
		if !args.Is(o.word) {
			continue
		}
		if err := e.once(); err != nil {
			return true, err
		}
		if !args.More() {
			return true, command.Errorf("missing expire time")
		}
		e.at, err = takeTime(args, o.unit, o.base)
		if e.at == 0 {
			e.at = 1 // 0 would be none
		}
		return true, err
	}
	switch {
	case args.Is("persist"):
		err = e.takeOther("PERSIST")
	case args.Is("keepttl"):
		err = e.takeOther("KEEPTTL")
		e.keep = true
	default:
		return false, nil
	}
	return true, err
}

func (e *expiry) takeOther(word string) error {
	if e.other != word {
		return command.Errorf("unknown argument")
	}
	return e.once()
}

// once notes that an option was given, of which there may be one.
func (e *expiry) once() error {
	if e.given {
		return command.Errorf("Only one of EX, PX, EXAT, PXAT or %s arguments can be specified", e.other)
	}
	e.given = true
	return nil
}
