package sorting

import (
	"bytes"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/slot"
)

// pattern says where the value of an element is found: in a string whose name is made
// of the element, or in a field of such a hash, or it is the element itself.
type pattern struct {
	itself          bool // "#"
	varies          bool // it has a "*": without one, there is no value
	prefix, postfix []byte
	field           []byte // nil: the key is a string
}

func parsePattern(text []byte) (p pattern) {
	if string(text) == "#" {
		return pattern{itself: true}
	}
	star := bytes.IndexByte(text, '*')
	if star < 0 {
		return pattern{}
	}
	p = pattern{varies: true, prefix: text[:star], postfix: text[star+1:]}
	// An arrow at the very end belongs to the name.
	if arrow := bytes.Index(p.postfix, []byte("->")); arrow >= 0 && arrow+len("->") < len(p.postfix) {
		p.postfix, p.field = p.postfix[:arrow], p.postfix[arrow+len("->"):]
	}
	return p
}

// slotOf returns the slot of all keys that a pattern can form; there is none unless the
// pattern has a hash tag before anything that may be something else.
func slotOf(pattern []byte) (s uint16, ok bool) {
	open := -1
	for i, c := range pattern {
		switch {
		case c == '*' || c == '?' || c == '[' || c == '\\':
			return 0, false
		case c == '{' && open < 0:
			open = i
		case c == '}' && open >= 0 && i > open+1:
			return slot.Of(pattern[:i+1]), true
		case c == '}' && open >= 0:
			open = len(pattern) // an empty tag is none, and no other one counts
		}
	}
	return slot.Of(pattern), true
}

// lookup returns the value of an element; there is none where the key is not there, or
// of another type.
func (p *pattern) lookup(v *keyspace.View, element []byte) (value []byte, ok bool) {
	switch {
	case p.itself:
		return element, true
	case !p.varies:
		return nil, false
	}
	key := bytes.Join([][]byte{p.prefix, p.postfix}, element)
	if p.field != nil {
		hash, _, err := v.Hash(key)
		if err != nil {
			return nil, false
		}
		value, _, ok = hash.Get(p.field)
		return value, ok
	}
	m, found := v.Lookup(key)
	return m.Value, found && m.Type == keyspace.TypeString
}
