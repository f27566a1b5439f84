package sortedsets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

func zrem(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	set, err := tx.SortedSet(args.Next())
	if err != nil {
		return err
	}
	removed := int64(0)
	for args.More() {
		if set.Delete(args.Next()) {
			removed++
		}
	}
	r.Int(removed)
	return nil
}

func zremrangebyrank(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return removeRange(tx, args, byRank, r)
}

func zremrangebyscore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return removeRange(tx, args, byScore, r)
}

func zremrangebylex(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return removeRange(tx, args, byLex, r)
}

func removeRange(tx *command.Tx, args *command.Args, kind rangeKind, r *resp.Reply) error {
	key := args.Next()
	spec, err := parseRange(kind, args.Next(), args.Next())
	if err != nil {
		return err
	}
	set, err := tx.SortedSet(key)
	if err != nil {
		return err
	}
	from, to := spec.of(set)
	set.DeleteRange(from, to)
	r.Int(to - from)
	return nil
}
