package command

import (
	"strings"

	"github.com/genuineh/aikv/node/slot"
)

// KeySpec says where some of a command's keys stand, as one of Redis's key
// specifications: where to begin, and how to find the keys from there.
//
//	{Begin: 1}                            one key
//	{Begin: 1, Last: -1, Step: 2}         every other argument from the first to the last
//	{Begin: 2, Count: &KeyCount{First: 1}} as many as the second argument says, behind it
//	{Keyword: "STREAMS", From: 1, Last: -1, Limit: 2} the first half of what follows the word
type KeySpec struct {
	Flags KeyFlags
	Notes string
	// Actual, if set, narrows Flags down for one call's arguments.
	Actual func(args [][]byte) KeyFlags

	// Really, if set, finds the keys, as Find does, where what Redis says of their place
	// is not the whole truth; ok is false if the arguments contradict themselves. What is
	// shown of the specification is the rest of it.
	Really func(args [][]byte) (first, last int, ok bool)

	// Begin is the index at which to begin. With a Keyword it is the argument behind
	// that word instead, which is looked for from the index From on, or, if From is
	// negative, from there towards the beginning (-1 is the last argument); where it does
	// not stand there are no keys. Find stands for all the rest where Redis says that the
	// place is unknown: it returns the indexes of the first and the last key, first > last
	// if there is none.
	Begin   int
	Keyword string
	From    int
	Find    func(args [][]byte) (first, last int)

	// Last is the index of the last key, relative to the first, or, if negative, counted
	// from the end (-1 is the last argument). Where it is -1, Limit cuts off what is
	// behind the first half, third, … of what is left; 0 and 1 cut off nothing.
	Last  int
	Limit int
	// Step is the distance between keys: 0 means 1.
	Step int
	// Count, if set, stands for Last and Limit: an argument says how many keys there are.
	Count *KeyCount
}

// KeyCount says where the number of keys stands, and the first of them, both relative
// to where a KeySpec begins.
type KeyCount struct{ Index, First int }

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

// Names returns the flags as Redis shows them.
func (f KeyFlags) Names() []string {
	return names(uint64(f), []string{
		"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
	})
}

func (k *KeySpec) step() int { return max(k.Step, 1) }

// plain reports whether the keys are a range from a fixed index.
func (k *KeySpec) plain() bool { return k.Keyword == "" && k.Find == nil && k.Count == nil }

// bounds returns the indexes of the first and the last key in args; there is none if
// first > last. ok is false if the arguments contradict the specification.
func (k *KeySpec) bounds(args [][]byte) (first, last int, ok bool) {
	n := len(args)
	if k.Really != nil {
		return k.Really(args)
	}
	if k.Find != nil {
		first, last = k.Find(args)
		return first, min(last, n-1), true
	}
	if first = k.Begin; k.Keyword != "" {
		if first = k.search(args); first == 0 {
			return 1, 0, true
		}
	}
	switch {
	case k.Count != nil:
		return k.counted(args, first)
	case k.Last >= 0:
		last = first + k.Last
	case k.Last == -1 && k.Limit > 1 && (n-first)%k.Limit != 0:
		return 1, 0, false
	case k.Last == -1 && k.Limit > 1:
		last = first + (n-first)/k.Limit - 1
	default:
		last = n + k.Last
	}
	return first, min(last, n-1), last < n
}

// search returns the index behind the keyword, 0 if it does not stand.
func (k *KeySpec) search(args [][]byte) int {
	from, step := k.From, 1
	if from < 0 {
		from, step = len(args)+from, -1
	}
	for i := from; i > 0 && i < len(args); i += step {
		if strings.EqualFold(string(args[i]), k.Keyword) {
			return i + 1
		}
	}
	return 0
}

// counted is bounds where an argument says how many keys there are.
func (k *KeySpec) counted(args [][]byte, begin int) (first, last int, ok bool) {
	at := begin + k.Count.Index
	if at >= len(args) {
		return 1, 0, false
	}
	n, ok := ParseInt(args[at])
	first = begin + k.Count.First
	if !ok || n < 0 || n > int64(len(args)) {
		return 1, 0, false
	}
	last = first + (int(n)-1)*k.step()
	if last >= len(args) {
		return 1, 0, false
	}
	return first, last, true
}

// HasKeys reports whether the command may name keys, so that it belongs to a slot.
func (c *Command) HasKeys() bool { return len(c.Keys) > 0 }

// Key is one key of a command, and what the command does with it.
type Key struct {
	Name  []byte
	Flags KeyFlags
}

// EachKey calls yield for each key of the command whose whole arguments are args, in
// the order of the specifications. It stops when yield returns false, and returns
// false if the arguments contradict a specification.
func (c *Command) EachKey(args [][]byte, yield func(Key) bool) bool {
	for i := range c.Keys {
		spec := &c.Keys[i]
		first, last, ok := spec.bounds(args)
		if !ok {
			return false
		}
		flags := spec.Flags
		if spec.Actual != nil {
			flags = spec.Actual(args)
		}
		for i := first; i <= last; i += spec.step() {
			if flags&KeyNotKey == 0 && !yield(Key{args[i], flags}) {
				return true
			}
		}
	}
	return true
}

// KeyArgs returns the command's keys, and false if the arguments contradict the
// specifications. The keys share memory with args.
func (c *Command) KeyArgs(args [][]byte) (keys [][]byte, ok bool) {
	ok = c.EachKey(args, func(k Key) bool {
		keys = append(keys, k.Name)
		return true
	})
	return keys, ok
}

// Slot returns the slot that all the command's keys hash to. keyed is false if
// the command has none, which is so too if the arguments contradict a specification, as in
// Redis: the command will say what is wrong with them. cross is true if the keys hash to
// several slots. It does not allocate.
func (c *Command) Slot(args [][]byte) (s uint16, keyed, cross bool) {
	for i := range c.Keys {
		spec := &c.Keys[i]
		first, last, ok := spec.bounds(args)
		if !ok {
			return 0, false, false
		}
		for i := first; i <= last; i += spec.step() {
			n := slot.Of(args[i])
			cross = cross || keyed && n != s
			if !keyed {
				s, keyed = n, true
			}
		}
	}
	return s, keyed, cross
}
