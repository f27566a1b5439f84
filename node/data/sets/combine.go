package sets

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// combination yields the members of a combination of sets, each once, in an order that
// depends on the sets alone. It ends early if m does not allow for what it holds.
type combination func(sets []keyspace.SetView, m *command.Memory) iter.Seq[[]byte]

// sources returns the sets of keys. A key that does not exist is an empty one.
func sources(v *keyspace.View, keys [][]byte) ([]keyspace.SetView, error) {
	sets := make([]keyspace.SetView, len(keys))
	for i, key := range keys {
		var err error
		if sets[i], _, err = v.Set(key); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// memory is a set of members that a combination holds.
type memory struct {
	members map[string]struct{}
	meter   *command.Memory
}

// add reports whether the meter allows for the member.
func (s *memory) add(member []byte) bool {
	const beside = 64 // bytes that an element takes beside the member
	s.members[string(member)] = struct{}{}
	return s.meter.Take(beside + len(member))
}

func (s *memory) has(member []byte) bool {
	_, ok := s.members[string(member)]
	return ok
}

func union(sets []keyspace.SetView, m *command.Memory) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		seen := memory{make(map[string]struct{}), m}
		for _, set := range sets {
			for member := range set.Members() {
				if !seen.has(member) && (!seen.add(member) || !yield(member)) {
					return
				}
			}
		}
	}
}

// intersection goes through the smallest set.
func intersection(sets []keyspace.SetView, _ *command.Memory) iter.Seq[[]byte] {
	sets = slices.SortedStableFunc(slices.Values(sets), func(a, b keyspace.SetView) int { return cmp.Compare(a.Len(), b.Len()) })
	return func(yield func([]byte) bool) {
		lacks := func(member []byte) bool {
			return slices.ContainsFunc(sets[1:], func(s keyspace.SetView) bool { return !s.Has(member) })
		}
		for member := range sets[0].Members() {
			if !lacks(member) && !yield(member) {
				return
			}
		}
	}
}

// difference goes through the first set. It asks the others for each member, or, where
// they are smaller, holds theirs.
func difference(sets []keyspace.SetView, m *command.Memory) iter.Seq[[]byte] {
	first, others := sets[0], sets[1:]
	return func(yield func([]byte) bool) {
		has := func(member []byte) bool {
			return slices.ContainsFunc(others, func(s keyspace.SetView) bool { return s.Has(member) })
		}
		if total := total(others); total <= first.Len() {
			held := memory{make(map[string]struct{}, total), m}
			for _, set := range others {
				for member := range set.Members() {
					if !held.add(member) {
						return
					}
				}
			}
			has = held.has
		}
		for member := range first.Members() {
			if !has(member) && !yield(member) {
				return
			}
		}
	}
}

// total returns how many members sets have together.
func total(sets []keyspace.SetView) (n int64) {
	for _, set := range sets {
		n += set.Len()
	}
	return n
}

func sunion(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, union, r)
}

func sinter(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, intersection, r)
}

func sdiff(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, difference, r)
}

func combine(v *command.View, args *command.Args, how combination, r *resp.Reply) error {
	sets, err := sources(v.View, args.Rest())
	if err != nil {
		return err
	}
	at, n := r.Here(), 0
	for member := range how(sets, v.Memory) {
		if r.Full() {
			break
		}
		r.Bulk(member)
		n++
	}
	r.SetAt(at, n)
	return nil
}

// sintercard stops where the limit is reached.
func sintercard(v *command.View, args *command.Args, r *resp.Reply) error {
	n, err := args.Count("numkeys")
	switch {
	case err != nil:
		return err
	case n > args.Len():
		return command.Errorf("Number of keys can't be greater than number of args")
	}
	keys, limit := args.Take(n), int64(math.MaxInt64)
	for args.More() {
		if !args.IsWith("limit", 1) {
			return command.ErrSyntax
		}
		var ok bool
		if limit, ok = command.ParseInt(args.Next()); !ok || limit < 0 {
			return command.Errorf("LIMIT can't be negative")
		}
		if limit == 0 {
			limit = math.MaxInt64
		}
	}
	sets, err := sources(v.View, keys)
	if err != nil {
		return err
	}
	count := int64(0)
	for range intersection(sets, nil) {
		if count++; count == limit {
			break
		}
	}
	r.Int(count)
	return nil
}

func sunionstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, union, r)
}

func sinterstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, intersection, r)
}

func sdiffstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, difference, r)
}

func combineStore(tx *command.Tx, args *command.Args, how combination, r *resp.Reply) error {
	destination := args.Next()
	sets, err := sources(&tx.Tx.View, args.Rest())
	if err != nil {
		return err
	}
	members := slices.Collect(how(sets, nil))
	tx.Delete(destination)
	set, err := tx.Set(destination)
	if err != nil {
		return err
	}
	set.Fill(members)
	r.Int(int64(len(members)))
	return nil
}
