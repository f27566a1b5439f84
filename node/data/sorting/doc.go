// Package sorting holds SORT and SORT_RO, which sort lists, sets and sorted sets, by
// themselves or by other keys.
//
// Replies and errors are those of Redis 8, which in a cluster allows patterns whose keys
// are all in the slot of the key that is sorted.
package sorting

import "github.com/genuineh/aikv/node/command"

// Commands returns the rows of the family.
func Commands() []*command.Command {
	const (
		group        = "generic"
		complexity   = "O(N+M*log(M)) with N elements, and M that are returned or sorted"
		categories   = command.CatSet | command.CatSortedSet | command.CatList | command.CatDangerous
		notesPattern = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
		notesStore   = "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"
	)
	source := command.KeySpec{Flags: command.KeyRO | command.KeyAccess, Begin: 1}
	patterns := command.KeySpec{Flags: command.KeyRO | command.KeyAccess, Find: noKeys, Notes: notesPattern}
	destination := command.KeySpec{Flags: command.KeyOW | command.KeyUpdate, Find: storedAt, Notes: notesStore}
	return []*command.Command{
		{
			Name: "sort", Arity: -2, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: categories,
			Keys: []command.KeySpec{source, patterns, destination},
			Doc: command.Doc{
				Usage:   "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]",
				Summary: "Sorts the elements of a list, a set or a sorted set, and returns or stores them.", Since: "1.0.0", Group: group, Complexity: complexity,
			},
			Read: sortRead, Write: sortStore, Writes: stores,
			Weight: storesWeight,
		},
		{
			Name: "sort_ro", Arity: -2, Flags: command.FlagReadOnly, ACL: categories,
			Keys: []command.KeySpec{source, patterns},
			Doc: command.Doc{
				Usage:   "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]",
				Summary: "Returns the sorted elements of a list, a set or a sorted set.", Since: "7.0.0", Group: group, Complexity: complexity,
			},
			Read: sortReadOnly,
		},
	}
}

// noKeys: which keys BY and GET look at depends on what is sorted. They are in the
// slot of the key that is.
func noKeys([][]byte) (first, last int) { return 1, 0 }

// storedAt returns where the key stands that the last STORE names.
func storedAt(args [][]byte) (first, last int) {
	first, last = 1, 0
	for i := 2; i < len(args); i++ {
		switch {
		case command.Is(args[i], "limit"):
			i += 2
		case command.Is(args[i], "get"), command.Is(args[i], "by"):
			i++
		case command.Is(args[i], "store") && i+1 < len(args):
			i++
			first, last = i, i
		}
	}
	return first, last
}

// stores reports whether a SORT writes.
func stores(args [][]byte) bool {
	first, last := storedAt(args)
	return first == last
}

// storesWeight is the Weight of a command that copies what it finds if it is told to.
func storesWeight(args [][]byte) int {
	if !stores(args) {
		return 0
	}
	return command.UnknownWeight
}
