package sets

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// srandmember answers one member or, with a count, a list: of different members if the
// count is positive, and else of as many as it says, some of them more than once.
func srandmember(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if args.Len() > 1 {
		return command.ErrSyntax
	}
	counted, count := args.More(), int64(1)
	if counted {
		var err error
		if count, err = args.IntWithin(-math.MaxInt64, math.MaxInt64); err != nil {
			return err
		}
	}
	set, found, err := v.Set(key)
	switch {
	case err != nil:
		return err
	case !counted && !found:
		r.Null()
	case !counted:
		r.Bulk(set.At(v.Rand().Int64N(set.Len())))
	case !found || count == 0:
		r.Array(0)
	default:
		writeRandom(v, set, count, r)
	}
	return nil
}

// writeRandom writes count members of a set that has some.
func writeRandom(v *command.View, set keyspace.SetView, count int64, r *resp.Reply) {
	n, places := v.Places(count, set.Len())
	r.Array(int(n))
	at := memberAt(set, n)
	for place := range places {
		if r.Full() {
			return
		}
		r.Bulk(at(place))
	}
}

// memberAt returns what finds the members at n positions of a set. Those of few are
// taken out of it first: its record has no index of them.
func memberAt(set keyspace.SetView, n int64) func(place int64) []byte {
	const few, several = 4096, 4
	if n < several || set.Len() > few {
		return set.At
	}
	members := make([][]byte, 0, set.Len())
	for member := range set.Members() {
		members = append(members, member)
	}
	return func(place int64) []byte { return members[place] }
}

// spop answers one member or, with a count, a set.
func spop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if args.Len() > 1 {
		return command.ErrSyntax
	}
	counted, count := args.More(), int64(1)
	if counted {
		var err error
		if count, err = args.NotNegative(); err != nil {
			return err
		}
	}
	set, err := tx.Set(key)
	if err != nil {
		return err
	}
	switch n := min(count, set.Len()); {
	case counted:
		r.Set(int(n))
		pop(tx, set, n, r)
	case n == 0:
		r.Null()
	default:
		pop(tx, set, 1, r)
	}
	return nil
}

// pop removes n random members and writes them.
func pop(tx *command.Tx, set *keyspace.Set, n int64, r *resp.Reply) {
	// Where few are left, Redis makes a new set of them, of the encoding that it would
	// have; else members are taken out one by one.
	const much = 5
	left := set.Len() - n
	if left > 0 && left*much <= n {
		rest := choose(tx, set.SetView, left)
		popAllBut(set, rest, r)
		return
	}
	chosen := choose(tx, set.SetView, n)
	for _, member := range chosen {
		if r.Full() {
			break
		}
		r.Bulk(member)
	}
	set.Delete(chosen...)
}

// choose returns n different members, every choice as likely as any other.
func choose(tx *command.Tx, set keyspace.SetView, n int64) [][]byte {
	members := make([][]byte, 0, n)
	at := memberAt(set, n)
	for place := range tx.Rand().Different(n, set.Len()) {
		members = append(members, at(place))
	}
	return members
}

// popAllBut removes all members but some, and writes them.
func popAllBut(set *keyspace.Set, kept [][]byte, r *resp.Reply) {
	stays := make(map[string]bool, len(kept))
	for _, member := range kept {
		stays[string(member)] = true
	}
	for member := range set.Members() {
		if r.Full() {
			break
		}
		if !stays[string(member)] {
			r.Bulk(member)
		}
	}
	set.Keep(kept)
}
