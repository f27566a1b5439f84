package lists

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// blockingCommands are those that wait until a list holds something.
func blockingCommands() []*command.Command {
	popped := []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1, Last: -2}}
	moved := []command.KeySpec{
		{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1},
		{Flags: command.KeyRW | command.KeyInsert, Begin: 2},
	}
	const flags = command.FlagWrite | command.FlagBlocking
	return []*command.Command{
		{
			Name: "blpop", Arity: -3, Flags: flags, ACL: command.CatList, Keys: popped,
			Doc:    command.Doc{Usage: "key [key ...] timeout", Summary: "Removes the first element of the first of some lists that has any, and returns it; waits where none has.", Since: "2.0.0", Group: group, Complexity: "O(N)+O(log(M)) with N keys and M elements"},
			Blocks: &command.Blocks{For: keyspace.TypeList, Timeout: -1},
			Read:   lookForOne,
			Write:  blpop,
		},
		{
			Name: "brpop", Arity: -3, Flags: flags, ACL: command.CatList, Keys: popped,
			Doc:    command.Doc{Usage: "key [key ...] timeout", Summary: "Removes the last element of the first of some lists that has any, and returns it; waits where none has.", Since: "2.0.0", Group: group, Complexity: "O(N)+O(log(M)) with N keys and M elements"},
			Blocks: &command.Blocks{For: keyspace.TypeList, Timeout: -1},
			Read:   lookForOne,
			Write:  brpop,
		},
		{
			Name: "blmpop", Arity: -5, Flags: command.FlagWrite | command.FlagBlocking, ACL: command.CatList,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 2, Count: &command.KeyCount{First: 1}}},
			Doc:    command.Doc{Usage: "timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]", Summary: "Removes elements from an end of the first of some lists that has any, and returns them; waits where none has.", Since: "7.0.0", Group: group, Complexity: "O(K)+O(log(N)+M) with K keys and M elements returned"},
			Blocks: &command.Blocks{For: keyspace.TypeList, Timeout: 1},
			Read:   lookForSome,
			Write:  blmpop,
		},
		{
			Name: "blmove", Arity: 6, Flags: flags | command.FlagDenyOOM, ACL: command.CatList, Keys: moved,
			Doc:    command.Doc{Usage: "source destination LEFT|RIGHT LEFT|RIGHT timeout", Summary: "Moves an element from an end of a list to an end of another, and returns it; waits where there is none.", Since: "6.2.0", Group: group, Complexity: "O(log(N))"},
			Blocks: &command.Blocks{For: keyspace.TypeList, Timeout: -1, Keys: 1},
			Read:   lookForMove,
			Write:  blmove,
		},
		{
			Name: "brpoplpush", Arity: 4, Flags: flags | command.FlagDenyOOM, ACL: command.CatList, Keys: moved,
			Doc:    command.Doc{Usage: "source destination timeout", Summary: "Moves the last element of a list before another list, and returns it; waits where there is none.", Since: "2.2.0", Group: group, Complexity: "O(log(N))", DeprecatedSince: "6.2.0", ReplacedBy: "`BLMOVE` with the `RIGHT` and `LEFT` arguments"},
			Blocks: &command.Blocks{For: keyspace.TypeList, Timeout: -1, Keys: 1},
			Read:   lookForMove,
			Write:  blmove,
		},
	}
}

func blpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return blockingPop(tx, args, left, r)
}

func brpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return blockingPop(tx, args, right, r)
}

// blockingPop pops one element of the first of the keys that holds any.
func blockingPop(tx *command.Tx, args *command.Args, from end, r *resp.Reply) error {
	if _, err := command.ParseTimeout(args.Last(), tx.Now()); err != nil {
		return err
	}
	key, list, err := firstOf(tx, args.Rest())
	switch {
	case err != nil:
		return err
	case list == nil:
		r.NullArray()
		return nil
	}
	r.Array(2)
	r.Bulk(key)
	r.Bulk(from.outmost(list))
	from.drop(list, 1)
	return nil
}

func blmpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	o, err := option.TakeBlockingPops(args, "left", "right", tx.Now())
	if err != nil {
		return err
	}
	popped, err := popFirst(tx, o, r)
	if err == nil && !popped {
		r.NullArray()
	}
	return err
}

// blmove is BRPOPLPUSH, too.
func blmove(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	m, err := takeMove(args, tx.Now())
	if err != nil {
		return err
	}
	return moveOrNull(tx, m.source, m.destination, m.from, m.to, r)
}

// moving is what BLMOVE and BRPOPLPUSH are asked for.
type moving struct {
	source, destination []byte
	from, to            end
}

// takeMove takes the arguments of BLMOVE or BRPOPLPUSH: the latter does not name the
// ends.
func takeMove(args *command.Args, now int64) (m moving, err error) {
	m = moving{source: args.Next(), destination: args.Next(), from: right, to: left}
	if args.Len() > 1 {
		if m.from, err = takeEnd(args); err != nil {
			return m, err
		}
		if m.to, err = takeEnd(args); err != nil {
			return m, err
		}
	}
	_, err = command.ParseTimeout(args.Next(), now)
	return m, err
}

// lookForOne is the look of BLPOP and BRPOP.
func lookForOne(v *command.View, args *command.Args, _ *resp.Reply) error {
	if _, err := command.ParseTimeout(args.Last(), v.Time()); err != nil {
		return err
	}
	return look(v, args.Rest())
}

// lookForSome is the look of BLMPOP.
func lookForSome(v *command.View, args *command.Args, _ *resp.Reply) error {
	o, err := option.TakeBlockingPops(args, "left", "right", v.Time())
	if err != nil {
		return err
	}
	return look(v, o.Keys)
}

// lookForMove is the look of BLMOVE and BRPOPLPUSH: what the destination is matters
// when there is something to move.
func lookForMove(v *command.View, args *command.Args, _ *resp.Reply) error {
	m, err := takeMove(args, v.Time())
	if err != nil {
		return err
	}
	return look(v, [][]byte{m.source})
}

func look(v *command.View, keys [][]byte) error {
	return v.Find(keys, func(key []byte) (int64, error) {
		list, _, err := v.List(key)
		return list.Len(), err
	})
}
