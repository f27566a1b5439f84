package hyperloglog

import (
	"bytes"
	"fmt"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// sketchAt returns the sketch of a key, which must not be changed, and what else the key
// has; nil if there is no such key.
func sketchAt(v *keyspace.View, key []byte) (*sketch, keyspace.Meta, error) {
	m, found := v.Lookup(key)
	switch {
	case !found:
		return nil, m, nil
	case m.Type != keyspace.TypeString:
		return nil, m, command.ErrWrongType
	default:
		s, err := parse(m.Value)
		return s, m, err
	}
}

// changeable returns a sketch of a key that may be changed, whose registers make sense;
// nil if there is no such key.
func changeable(tx *command.Tx, key []byte) (*sketch, keyspace.Meta, error) {
	s, m, err := sketchAt(&tx.Tx.View, key)
	switch {
	case err != nil || s == nil:
		return nil, m, err
	case !s.valid():
		return nil, m, errCorrupt
	default:
		return &sketch{bytes.Clone(s.bytes)}, m, nil
	}
}

func pfadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	s, m, err := changeable(tx, key)
	if err != nil {
		return err
	}
	changed := s == nil
	if s == nil {
		s = newSketch()
	}
	for args.More() {
		if s.raise(place(args.Next())) {
			changed = true
		}
	}
	if !changed {
		r.Int(0)
		return nil
	}
	s.outdate()
	tx.SetString(key, s.bytes, m.ExpireAt)
	r.Int(1)
	return nil
}

func pfcount(v *command.View, args *command.Args, r *resp.Reply) error {
	if args.Len() == 1 {
		return countOne(v, args.Next(), r)
	}
	if !v.Memory.Take(registers) {
		return nil
	}
	var all union
	for args.More() {
		s, _, err := sketchAt(v.View, args.Next())
		switch {
		case err != nil:
			return err
		case s != nil && !all.add(s):
			return errCorrupt
		}
	}
	h := all.histogram()
	r.Int(h.estimate())
	return nil
}

func countOne(v *command.View, key []byte, r *resp.Reply) error {
	s, _, err := sketchAt(v.View, key)
	switch {
	case err != nil:
		return err
	case s == nil:
		r.Int(0)
		return nil
	}
	if n, ok := s.cached(); ok {
		r.Int(int64(n))
		return nil
	}
	h, ok := s.histogram()
	if !ok {
		return errCorrupt
	}
	r.Int(h.estimate())
	return nil
}

// pfmerge makes the first key dense if one of the keys is.
func pfmerge(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Peek()
	var all union
	anyDense := false
	for args.More() {
		s, _, err := sketchAt(&tx.Tx.View, args.Next())
		switch {
		case err != nil:
			return err
		case s == nil:
			continue
		case !all.add(s):
			return errCorrupt
		}
		anyDense = anyDense || s.isDense()
	}
	target, m, err := changeable(tx, key)
	if err != nil {
		return err
	}
	if target == nil {
		target = newSketch()
	}
	if anyDense {
		target.makeDense()
	}
	for register, value := range all {
		if value > 0 {
			target.raise(register, value)
		}
	}
	target.outdate()
	tx.SetString(key, target.bytes, m.ExpireAt)
	r.OK()
	return nil
}

func pfdebug(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	what, key := args.Next(), args.Next()
	s, m, err := changeable(tx, key)
	switch {
	case err != nil:
		return err
	case s == nil:
		return command.Errorf("The specified key does not exist")
	}
	wasSparse := !s.isDense()
	switch {
	case command.Is(what, "getreg"):
		s.makeDense()
		r.Array(registers)
		s.runs(func(_, _ int, value byte) { r.Int(int64(value)) })
	case command.Is(what, "todense"):
		s.makeDense()
		if wasSparse {
			r.Int(1)
		} else {
			r.Int(0)
		}
	case command.Is(what, "encoding"):
		if wasSparse {
			r.Simple("sparse")
		} else {
			r.Simple("dense")
		}
	case !command.Is(what, "decode"):
		return command.Errorf("Unknown PFDEBUG subcommand '%s'", command.Printable(what, 128))
	case !wasSparse:
		return command.Errorf("HLL encoding is not sparse")
	default:
		r.BulkString(s.text())
	}
	if wasSparse && s.isDense() {
		tx.SetString(key, s.bytes, m.ExpireAt)
	}
	return nil
}

// text returns the opcodes of a sparse sketch as PFDEBUG DECODE shows them.
func (s *sketch) text() string {
	var text bytes.Buffer
	for b := s.body(); len(b) > 0; {
		o := read(b)
		switch b = b[o.size:]; {
		case o.value > 0:
			fmt.Fprintf(&text, "v:%d,%d", o.value, o.n)
		case o.size > 1:
			fmt.Fprintf(&text, "Z:%d", o.n)
		default:
			fmt.Fprintf(&text, "z:%d", o.n)
		}
		if len(b) > 0 {
			text.WriteByte(' ')
		}
	}
	return text.String()
}
