package command

import "github.com/genuineh/aikv/node/slot"

// KeySpec says where a command's keys stand: a range of arguments, as Redis's
// key specification "index" + "range".
type KeySpec struct {
	Flags KeyFlags
	Notes string
	// Actual, if set, narrows Flags down for one call's arguments.
	Actual func(args [][]byte) KeyFlags
	// Begin is the index of the first key, Last that of the last one: relative
	// to Begin, or, if negative, counted from the end (-1 is the last argument).
	Begin, Last int
	// Step is the distance between keys: 0 means 1.
	Step int
}

// KeyFlags tell what a command does with its keys.
type KeyFlags uint32

// Redis's key flags.
const (
	KeyRO KeyFlags = 1 << iota
	KeyRW
	KeyOW
	KeyRM
	KeyAccess
	KeyUpdate
	KeyInsert
	KeyDelete
	KeyNotKey
	KeyIncomplete
	KeyVariable
)

func (f KeyFlags) names() []string {
	return names(uint64(f), []string{
		"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
	})
}

func (k KeySpec) step() int { return max(k.Step, 1) }

// span returns the indexes of the first and the last key in n arguments; there
// is none if first > last.
func (k KeySpec) span(n int) (first, last int) {
	if k.Last < 0 {
		last = n + k.Last
	} else {
		last = k.Begin + k.Last
	}
	return k.Begin, min(last, n-1)
}

// HasKeys reports whether the command names keys, so that it belongs to a slot.
func (c *Command) HasKeys() bool { return len(c.Keys) > 0 }

// KeyArgs returns the command's keys in the order in which they stand. The
// result shares memory with args; it is allocated only if the keys are not
// neighbours.
func (c *Command) KeyArgs(args [][]byte) [][]byte {
	if len(c.Keys) == 1 && c.Keys[0].step() == 1 {
		first, last := c.Keys[0].span(len(args))
		if first > last {
			return nil
		}
		return args[first : last+1 : last+1]
	}
	var keys [][]byte
	for _, spec := range c.Keys {
		first, last := spec.span(len(args))
		for i := first; i <= last; i += spec.step() {
			keys = append(keys, args[i])
		}
	}
	return keys
}

// Slot returns the slot that all the command's keys hash to. keyed is false if
// the command has none; cross is true if they hash to several slots. It does
// not allocate.
func (c *Command) Slot(args [][]byte) (s uint16, keyed, cross bool) {
	for _, spec := range c.Keys {
		first, last := spec.span(len(args))
		for i := first; i <= last; i += spec.step() {
			n := slot.Of(args[i])
			if keyed && n != s {
				return s, true, true
			}
			s, keyed = n, true
		}
	}
	return s, keyed, false
}
