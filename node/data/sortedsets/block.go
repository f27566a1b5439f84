package sortedsets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// blockingCommands are those that wait until a sorted set holds something.
func blockingCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "bzpopmin", Arity: -3, Flags: command.FlagWrite | command.FlagBlocking | command.FlagFast, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1, Last: -2}},
			Doc:    command.Doc{Usage: "key [key ...] timeout", Summary: "Removes the member with the lowest score from the first of some sorted sets that has any, and returns it; waits where none has.", Since: "5.0.0", Group: group, Complexity: "O(log(N))"},
			Blocks: &command.Blocks{For: keyspace.TypeSortedSet, Timeout: -1},
			Read:   lookForOne,
			Write:  bzpopmin,
		},
		{
			Name: "bzpopmax", Arity: -3, Flags: command.FlagWrite | command.FlagBlocking | command.FlagFast, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1, Last: -2}},
			Doc:    command.Doc{Usage: "key [key ...] timeout", Summary: "Removes the member with the highest score from the first of some sorted sets that has any, and returns it; waits where none has.", Since: "5.0.0", Group: group, Complexity: "O(log(N))"},
			Blocks: &command.Blocks{For: keyspace.TypeSortedSet, Timeout: -1},
			Read:   lookForOne,
			Write:  bzpopmax,
		},
		{
			Name: "bzmpop", Arity: -5, Flags: command.FlagWrite | command.FlagBlocking, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 2, Count: &command.KeyCount{First: 1}}},
			Doc:    command.Doc{Usage: "timeout numkeys key [key ...] MIN|MAX [COUNT count]", Summary: "Removes the lowest or highest members from the first of some sorted sets that has any, and returns them; waits where none has.", Since: "7.0.0", Group: group, Complexity: "O(K)+O(log(N)+M) with K keys and M members removed"},
			Blocks: &command.Blocks{For: keyspace.TypeSortedSet, Timeout: 1},
			Read:   lookForSome,
			Write:  bzmpop,
		},
	}
}

func bzpopmin(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return blockingPop(tx, args, false, r)
}

func bzpopmax(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return blockingPop(tx, args, true, r)
}

// blockingPop pops one element of the first of the keys that holds any.
func blockingPop(tx *command.Tx, args *command.Args, highest bool, r *resp.Reply) error {
	if _, err := command.ParseTimeout(args.Last(), tx.Now()); err != nil {
		return err
	}
	key, set, err := firstOf(tx, args.Rest())
	switch {
	case err != nil:
		return err
	case set == nil:
		r.NullArray()
		return nil
	}
	r.Array(3)
	r.Bulk(key)
	take(set, 1, highest, r, func() {})
	return nil
}

func bzmpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	o, err := option.TakeBlockingPops(args, "min", "max", tx.Now())
	if err != nil {
		return err
	}
	return popFirst(tx, o, r)
}

// lookForOne is the look of BZPOPMIN and BZPOPMAX.
func lookForOne(v *command.View, args *command.Args, _ *resp.Reply) error {
	if _, err := command.ParseTimeout(args.Last(), v.Time()); err != nil {
		return err
	}
	return look(v, args.Rest())
}

// lookForSome is the look of BZMPOP.
func lookForSome(v *command.View, args *command.Args, _ *resp.Reply) error {
	o, err := option.TakeBlockingPops(args, "min", "max", v.Time())
	if err != nil {
		return err
	}
	return look(v, o.Keys)
}

func look(v *command.View, keys [][]byte) error {
	return v.Find(keys, func(key []byte) (int64, error) {
		set, _, err := v.SortedSet(key)
		return set.Len(), err
	})
}
