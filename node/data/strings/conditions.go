package strings

import (
	"bytes"
	"fmt"
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errDigest        = resp.Error("ERR must be exactly 16 hexadecimal characters")
	errConditionType = resp.Error("ERR Key should be of string type if conditions are specified")
	errCondition     = resp.Error("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
	errNumKeys       = resp.Error("ERR invalid numkeys value")
	errPairs         = resp.Error("ERR wrong number of key-value pairs")
)

// condition is what SET and DELEX may ask of a key's string.
type condition struct {
	kind conditionKind
	with []byte // a string, or the digest of one
}

type conditionKind uint8

const (
	unconditional conditionKind = iota
	ifEqual
	ifNotEqual
	ifDigestEqual
	ifDigestNotEqual
)

// conditionNamed returns the kind of condition that a word names.
func conditionNamed(word []byte) conditionKind {
	switch {
	case command.Is(word, "ifeq"):
		return ifEqual
	case command.Is(word, "ifne"):
		return ifNotEqual
	case command.Is(word, "ifdeq"):
		return ifDigestEqual
	case command.Is(word, "ifdne"):
		return ifDigestNotEqual
	default:
		return unconditional
	}
}

// take takes a condition, if the arguments go on with one. Only one of the same kind may
// come again; it then counts anew.
func (c *condition) take(args *command.Args) bool {
	kind := conditionNamed(args.Peek())
	if kind == unconditional || args.Len() < 2 || c.kind != unconditional && c.kind != kind {
		return false
	}
	args.Next()
	*c = condition{kind, args.Next()}
	return true
}

// holds reports whether a key meets the condition that holds m, if it is there. The
// condition's digest is looked at only then.
func (c *condition) holds(m keyspace.Meta, found bool) (bool, error) {
	equal := false
	switch {
	case c.kind == unconditional:
		return true, nil
	case !found:
	case m.Type != keyspace.TypeString:
		return false, command.ErrWrongType
	case c.kind == ifEqual || c.kind == ifNotEqual:
		equal = bytes.Equal(m.Value, c.with)
	case len(c.with) != digestSize:
		return false, errDigest
	default:
		equal = command.Is(c.with, digestOf(m.Value))
	}
	return equal == (c.kind == ifEqual || c.kind == ifDigestEqual), nil
}

// digestSize is the length of a digest as text.
const digestSize = 16

func digestOf(value []byte) string { return fmt.Sprintf("%016x", xxh3(value)) }

func digest(v *command.View, args *command.Args, r *resp.Reply) error {
	m, found, err := stringAt(v, args.Next())
	switch {
	case err != nil:
		return err
	case !found:
		r.Null()
	default:
		r.BulkString(digestOf(m.Value))
	}
	return nil
}

// delExKeyFlags: DELEX reads its key only for a condition.
func delExKeyFlags(args [][]byte) command.KeyFlags {
	if len(args) > 2 {
		return command.KeyRW | command.KeyDelete
	}
	return command.KeyRM | command.KeyDelete
}

func delEx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if args.More() && args.Len() != 2 {
		return args.ErrArity()
	}
	m, found := tx.Lookup(key)
	holds := found
	if found && args.More() {
		var c condition
		var err error
		if m.Type != keyspace.TypeString {
			return errConditionType
		}
		if !c.take(args) {
			return errCondition
		}
		if holds, err = c.holds(m, found); err != nil {
			return err
		}
	}
	deleteIf(tx, holds, key, r)
	return nil
}

func delIfEq(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	deleteIf(tx, found && bytes.Equal(m.Value, args.Next()), key, r)
	return nil
}

// deleteIf answers whether it deletes the key.
func deleteIf(tx *command.Tx, wanted bool, key []byte, r *resp.Reply) {
	if !wanted {
		r.Int(0)
		return
	}
	tx.Delete(key)
	r.Int(1)
}

func msetEx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	n, ok := command.ParseInt(args.Next())
	switch {
	case !ok || n < 1 || n > math.MaxInt32:
		return errNumKeys
	case 2*n > int64(args.Len()):
		return errPairs
	}
	pairs := args.Take(int(2 * n))
	o, err := takeSetOptions(args, false)
	if err != nil {
		return err
	}
	expireAt := int64(0)
	if o.expiry.Given() {
		if expireAt, err = o.expiry.At(tx.Now(), args); err != nil {
			return err
		}
	}
	for i := 0; i < len(pairs) && (o.nx || o.xx); i += 2 {
		if allowed, _ := o.allow(tx.Lookup(pairs[i])); !allowed {
			r.Int(0)
			return nil
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if o.keepTTL {
			old, _ := tx.Lookup(pairs[i])
			expireAt = old.ExpireAt
		}
		tx.SetString(pairs[i], pairs[i+1], expireAt)
	}
	r.Int(1)
	return nil
}
