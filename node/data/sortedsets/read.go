package sortedsets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

func zcard(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.SortedSet(args.Next())
	if err != nil {
		return err
	}
	r.Int(set.Len())
	return nil
}

func zscore(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.SortedSet(args.Next())
	if err != nil {
		return err
	}
	writeScore(r, set, args.Next())
	return nil
}

// writeScore writes a member's score, null if it is none.
func writeScore(r *resp.Reply, set keyspace.SortedSetView, member []byte) {
	if score, found := set.Score(member); found {
		r.Double(score)
	} else {
		r.Null()
	}
}

func zmscore(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.SortedSet(args.Next())
	if err != nil {
		return err
	}
	r.Array(args.Len())
	for args.More() {
		writeScore(r, set, args.Next())
	}
	return nil
}

func zrank(v *command.View, args *command.Args, r *resp.Reply) error { return rank(v, args, false, r) }

func zrevrank(v *command.View, args *command.Args, r *resp.Reply) error {
	return rank(v, args, true, r)
}

// rank answers null for what is no member, and a null array if the score was asked
// for too, as Redis 7.2 does.
func rank(v *command.View, args *command.Args, reverse bool, r *resp.Reply) error {
	key, member := args.Next(), args.Next()
	withScore := false
	switch {
	case args.Len() > 1:
		return args.ErrArity()
	case args.More():
		if withScore = args.Is("withscore"); !withScore {
			return command.ErrSyntax
		}
	}
	set, _, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	position, found := set.Rank(member)
	if reverse {
		position = set.Len() - 1 - position
	}
	switch {
	case !found && withScore:
		r.NullArray()
	case !found:
		r.Null()
	case withScore:
		score, _ := set.Score(member)
		r.Array(2)
		r.Int(position)
		r.Double(score)
	default:
		r.Int(position)
	}
	return nil
}

func zcount(v *command.View, args *command.Args, r *resp.Reply) error {
	return count(v, args, byScore, r)
}

func zlexcount(v *command.View, args *command.Args, r *resp.Reply) error {
	return count(v, args, byLex, r)
}

func count(v *command.View, args *command.Args, kind rangeKind, r *resp.Reply) error {
	key := args.Next()
	spec, err := parseRange(kind, args.Next(), args.Next())
	if err != nil {
		return err
	}
	set, _, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	from, to := spec.of(set)
	r.Int(to - from)
	return nil
}
