package lists

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// end is an end of a list.
type end bool

const (
	left  end = false
	right end = true
)

// takeEnd takes LEFT or RIGHT.
func takeEnd(args *command.Args) (end, error) {
	switch {
	case args.Is("left"):
		return left, nil
	case args.Is("right"):
		return right, nil
	default:
		return left, command.ErrSyntax
	}
}

// push puts elements at the end, one after the other.
func (e end) push(list *keyspace.List, elements ...[]byte) {
	if e == left {
		list.PushFront(elements...)
	} else {
		list.PushBack(elements...)
	}
}

// last returns the n outmost positions at the end, from and, behind the last, to.
func (e end) last(list *keyspace.List, n int64) (from, to int64) {
	length := list.Len()
	n = min(n, length)
	if e == left {
		return 0, n
	}
	return length - n, length
}

// outmost returns the element at the end of a list, which has one.
func (e end) outmost(list *keyspace.List) []byte {
	from, _ := e.last(list, 1)
	element, _ := list.At(from)
	return element
}

// drop removes n elements at the end.
func (e end) drop(list *keyspace.List, n int64) {
	from, to := e.last(list, n)
	list.DeleteRange(from, to)
}

// pop removes up to n elements at the end, and writes an array of them, the outmost
// one first.
func (e end) pop(list *keyspace.List, n int64, r *resp.Reply) {
	from, to := e.last(list, n)
	writeRange(r, list.ListView, from, to, e == right)
	list.DeleteRange(from, to)
}

func lpush(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return push(tx, args, left, false, r)
}

func rpush(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return push(tx, args, right, false, r)
}

func lpushx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return push(tx, args, left, true, r)
}

func rpushx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return push(tx, args, right, true, r)
}

// push does nothing to a list that is not there, if exists says that it must be.
func push(tx *command.Tx, args *command.Args, to end, exists bool, r *resp.Reply) error {
	list, err := tx.List(args.Next())
	if err != nil {
		return err
	}
	if !exists || list.Len() > 0 {
		to.push(list, args.Rest()...)
	}
	r.Int(list.Len())
	return nil
}

func lpop(tx *command.Tx, args *command.Args, r *resp.Reply) error { return pop(tx, args, left, r) }

func rpop(tx *command.Tx, args *command.Args, r *resp.Reply) error { return pop(tx, args, right, r) }

// pop answers a list if there is a count, and else one element.
func pop(tx *command.Tx, args *command.Args, from end, r *resp.Reply) error {
	key := args.Next()
	if args.Len() > 1 {
		return args.ErrArity()
	}
	count, counted := int64(1), args.More()
	if counted {
		var err error
		if count, err = args.NotNegative(); err != nil {
			return err
		}
	}
	list, err := tx.List(key)
	if err != nil {
		return err
	}
	switch there := list.Len() > 0; {
	case !there && counted:
		r.NullArray()
	case !there:
		r.Null()
	case counted:
		from.pop(list, count, r)
	default:
		r.Bulk(from.outmost(list))
		from.drop(list, 1)
	}
	return nil
}

func lmpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	o, err := option.TakePops(args, "left", "right")
	if err != nil {
		return err
	}
	popped, err := popFirst(tx, o, r)
	if err == nil && !popped {
		r.NullArray()
	}
	return err
}

// popFirst pops from the first of the keys that holds anything, writes the key and
// what was popped, and reports whether there was one; else it writes nothing.
func popFirst(tx *command.Tx, o option.Pops, r *resp.Reply) (popped bool, err error) {
	key, list, err := firstOf(tx, o.Keys)
	if list == nil {
		return false, err
	}
	r.Array(2)
	r.Bulk(key)
	end(o.Second).pop(list, o.Count, r)
	return true, nil
}

// firstOf returns the first of the keys that holds any elements, and its list; nil if
// there is none.
func firstOf(tx *command.Tx, keys [][]byte) (key []byte, list *keyspace.List, err error) {
	for _, key := range keys {
		list, err := tx.List(key)
		switch {
		case err != nil:
			return nil, nil, err
		case list.Len() > 0:
			return key, list, nil
		}
	}
	return nil, nil, nil
}

// returnsMoved is the Command.Returns of LMOVE and its kin: one element, which may stay
// in the list.
func returnsMoved(args *command.Args, look func() *command.View) (size int64) {
	list, _, _ := look().List(args.Next())
	for _, position := range []int64{0, list.Len() - 1} {
		element, _ := list.At(position)
		size = max(size, int64(len(element)))
	}
	return size
}

func lmove(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	source, destination := args.Next(), args.Next()
	from, err := takeEnd(args)
	if err != nil {
		return err
	}
	to, err := takeEnd(args)
	if err != nil {
		return err
	}
	return moveOrNull(tx, source, destination, from, to, r)
}

func rpoplpush(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return moveOrNull(tx, args.Next(), args.Next(), right, left, r)
}

func moveOrNull(tx *command.Tx, source, destination []byte, from, to end, r *resp.Reply) error {
	moved, err := move(tx, source, destination, from, to, r)
	if err == nil && !moved {
		r.Null()
	}
	return err
}

// move moves an element from one list, which may be the other one as well, to
// another, writes it, and reports whether there was one; else it writes nothing, and
// does not care what the destination is.
func move(tx *command.Tx, source, destination []byte, from, to end, r *resp.Reply) (moved bool, err error) {
	list, err := tx.List(source)
	if err != nil || list.Len() == 0 {
		return false, err
	}
	element := from.outmost(list)
	switch same := string(source) == string(destination); {
	case same && list.Len() == 1:
		list.Set(0, element) // a change, as in Redis, but the key does not go
	case same:
		from.drop(list, 1)
		to.push(list, element)
	default:
		other, err := tx.List(destination)
		if err != nil {
			return false, err
		}
		to.push(other, element)
		from.drop(list, 1)
	}
	r.Bulk(element)
	return true, nil
}
