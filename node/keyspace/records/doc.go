// Package records is a multi-version map of keys to immutable bytes that lives in
// memory over a store, which is only its checkpoint.
//
// # Border
//
// Below is storage: what survives. Above is keyspace, which knows what keys and
// values mean. This package knows nothing of types, time or slots. The goroutine that
// makes checkpoints, and what it waits for, come from sched.
//
// # Invariants
//
//   - A transaction's Commit changes memory alone. The store has the state as of one
//     commit, all of it and with that commit's Mark: a crash falls back to it, and
//     the owner repeats what came after from its log. The log must not be cut behind
//     what Sync has returned.
//   - What is dirty, that is, newer than the store, is in the table. It is never
//     evicted before a checkpoint has brought it to the store. So what is not in the
//     table is in the store, if it is anywhere.
//   - No answer depends on what is resident, on when checkpoints were made, or on
//     where transactions ended.
//   - A view sees the state as of one commit, the newest when it began.
//   - Memory is bounded: Options.Cache for what is clean, Options.Dirty and one
//     transaction for what is dirty. Begin waits where that is used up.
//
// # Records, generations, the table
//
// A Record (record.go) is one piece of memory. The table (table.go) holds the newest
// record of each resident key, "absent" being a record like any other. The records
// that were changed since the last checkpoint are also in a generation
// (generation.go), in the order of keys. A checkpoint freezes the generation, which
// takes no time, as the next commit begins another one; a key that is changed again
// enters that, and leaves the frozen one as it is. In the background the frozen
// generation is written in order, as one transaction of the store, with the state
// record: storage says how that is atomic. Then its records become clean, unless they
// have changed meanwhile. What came and went between two checkpoints costs the store
// nothing.
//
// A checkpoint is begun by half of Options.Dirty, by the age of the oldest change
// (Options.Interval), and by whoever needs it: Sync, Export, Close.
//
// # Views
//
// Commit
//
//  1. appends itself, with what it replaces, to the chain of commits (commit.next),
//  2. enters its records into table and generation,
//  3. becomes the latest commit: the point at which it is visible.
//
// A view begins from the latest commit. To read a key it first takes the record that
// table or store have at that moment, then walks the chain from its base: if a later
// commit has changed the key, the first such commit knows what the base had. As step 1
// comes before 2, nothing a view can meet is without its entry in the chain. Walker
// says how walks over ranges do the same. Nobody waits for anybody, the chain is
// nearly always empty, and Go's collector drops what no view can reach.
//
// # Worlds
//
// Keys whose first byte is below 10 (hexadecimal, as all here) are in the outer space;
// all others, below 70, are in a world, and Flush begins a new one: an empty table and
// another number. Views that began in the old one keep it. In the store, keys of world
// 0 are as they are; those of another one stand behind a byte 80 and the world's number
// (8 bytes). What a flushed world has left in the store is removed in pieces, when a
// checkpoint has made the new one the world that counts and no view reads the old one;
// a restart goes on with that.
//
//	00                 format, applied index, clock; world, flags
//	01 … 0f            the outer space
//	10 … 6f            world 0
//	70 part:2          world 0: the filter of a part of its keys
//	80 world:8 key     another world, its filters included
//
// # Filters
//
// Asking the store for a key that it does not have is the dearest question. So each
// part of a world (the owner says what that is) has a Bloom filter over its keys
// (filter.go), which is written with the checkpoint that adds to it and read with one
// Get when it is first needed. Stores of the former format have none: their parts are
// counted when a checkpoint first adds to them, and asked about until then. A filter
// that became too large for its part is given up, and the store's own filters have to
// do. The checkpoint that deletes most of a part's keys makes its filter anew from what
// the store keeps (Options.PartKeys).
package records
