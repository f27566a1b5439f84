package command

import (
	"math"
	"math/big"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/longdouble"
)

// Blocks says for what a command waits.
type Blocks struct {
	// For is the type that a key must hold.
	For keyspace.Type
	// Timeout is the index of the argument that says for how long; a negative one is
	// counted from the end.
	Timeout int
	// Keys is how many of the command's keys are waited for: 0 for all of them, 1 for
	// the first.
	Keys int
	// Waits, if set, says in place of Timeout for how many milliseconds a whole command
	// waits, 0 for ever, and whether it does.
	Waits func(args [][]byte) (ms int64, waits bool)
	// Lane, if set, names those among the clients who wait for a key whom a whole command
	// has to do with: see blocking.Lane.
	Lane func(args [][]byte) string
	// AtOnce: its Write runs before the client waits, whatever there is, as it notes
	// that the client asks.
	AtOnce bool
}

// Found is what there is to pop: so many elements under one of the keys that are waited
// for, the first that holds any. None where no key does.
type Found struct {
	Key      int
	Elements int64
	// In is in how many milliseconds there will be something that time alone brings;
	// 0: never.
	In int64
}

// Find notes in v.Found what a look finds: held returns how many elements a key holds.
func (v *View) Find(keys [][]byte, held func(key []byte) (int64, error)) error {
	for i, key := range keys {
		n, err := held(key)
		if err != nil {
			return err
		}
		if n > 0 {
			v.Found.Key, v.Found.Elements = i, n
			return nil
		}
	}
	return nil
}

// Awaited returns the keys that a whole command waits for. They share memory with args.
func (b *Blocks) Awaited(c *Command, args [][]byte) [][]byte {
	keys, ok := c.KeyArgs(args)
	if !ok {
		return nil // its look says what is wrong
	}
	if b.Keys > 0 {
		keys = keys[:b.Keys]
	}
	return keys
}

// WaitsFor returns for how many milliseconds a whole command waits at most, whose look has
// found nothing wrong with it; 0: for ever.
func (b *Blocks) WaitsFor(args [][]byte) (ms int64) {
	if b.Waits != nil {
		ms, _ = b.Waits(args)
		return ms
	}
	at := b.Timeout
	if at < 0 {
		at += len(args)
	}
	ms, _ = ParseTimeout(args[at], 0)
	return ms
}

// MayWait reports whether a whole command waits where it finds nothing.
func (c *Command) MayWait(args [][]byte) bool {
	if c.Blocks == nil || c.Blocks.Waits == nil {
		return c.Blocks != nil
	}
	_, waits := c.Blocks.Waits(args)
	return waits
}

// ParseTimeout reads for how many seconds a command waits at most, and returns it in
// milliseconds, rounded up; 0: for ever. now is in unix ms. Redis counts with a long
// double.
func ParseTimeout(b []byte, now int64) (ms int64, err error) {
	if n, ok := ParseInt(b); ok && n >= 0 && n < math.MaxInt32 {
		return n * 1000, nil
	}
	f, ok := longdouble.Parse(b)
	if !ok {
		return 0, Errorf("timeout is not a float or out of range")
	}
	f.Mul(f, big.NewFloat(1000))
	ms, off := f.Int64() // towards 0
	if off == big.Below && ms < math.MaxInt64 {
		ms++
	}
	switch {
	case ms < 0:
		return 0, Errorf("timeout is negative")
	case ms > math.MaxInt64-now:
		return 0, Errorf("timeout is out of range")
	default:
		return ms, nil
	}
}
