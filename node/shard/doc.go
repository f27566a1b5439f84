// Package shard is the state machine of a shard's Raft group: it runs committed
// commands on the shard's keyspace and keeps the table of slots that the shard
// owns.
//
// # Payloads
//
// An entry holds payloads. One is a command, in the form of command.AppendArgs, whose
// first byte is never 0; a transaction, in that of command.AppendTransaction, either of
// them behind ASKING or not (command.AppendAsking); or one of this package's own records:
// a byte 0, a kind, an epoch or a job of migration (uvarint), and mostly slots:
//
//	own          the shard takes up the slots
//	seal         the shard gives the slots up: no command on them runs behind it
//	mark         CLUSTER SETSLOT has said that the slots are migrating, importing or stable
//	watch        what changes in the slots is logged for the job
//	unwatch      the job's log ends
//	import       the job begins to bring the slots, which are hidden
//	piece        some of what they hold, or of what has changed
//	end import   the job is over: what it has brought is owned by now, or is to be dropped
//	drop         some keys of slots that are not the shard's any more
//
// A transaction is all keys that its client watched, with what they were, and its
// commands, the reads among them. It runs at its place in the log, all of it and with
// nothing in between, or, if a watched key is not what it was, none of it. So what WATCH
// promises holds whoever leads by then: versions are part of the state.
//
// # Invariants
//
//   - The state after an index depends on the log up to it and on nothing else:
//     no clock, no randomness, no map order.
//   - Data, ownership, clock and applied index are committed together, so after
//     a crash they agree, and the log is replayed from there.
//   - Own and Seal act on a slot only if the epoch is above the slot's last one.
//     A record that is late, or comes twice, changes nothing.
//   - A command runs only if the shard owns all its slots at its place in the
//     log. So a leader whose view is old can refuse a write for a slot that has
//     moved away, but never accept one. A transaction runs if that is so of all its
//     commands.
//   - Of a slot that is marked migrating all keys of a command must be here, and one
//     marked importing is open to commands behind ASKING: see judgement.
//   - A transaction whose watched keys' slots have changed hands does not run, also
//     if they have come back.
//   - A piece is taken once, whoever repeats it: it names the position that it goes on
//     from. Slots that a job brings are owned by the epoch of the seal alone up to
//     which everything has come, and that is part of the state.
//   - Imported slots are seen by nobody until they are owned, dropped ones by nobody
//     from the first piece of the drop on.
//
// Slots that move with their keys go through these steps, of which package migration's
// worker does the target's, and package replica the source's:
//
//	source                        target
//	watch
//	                              import
//	Pull: all, then changes  →    pieces
//	seal
//	Pull: the rest           →    the last piece, which is complete
//	                              (MetaRaft: the slots are the target's)
//	                              own, end import
//	unwatch, drop …
//
// Any member of the source answers Pull that has applied as much as the one before:
// positions are of the log, and mean the same everywhere. FLUSHALL at the source loses the
// log (ErrLost), at the target it fails the import, and both end the job; it is refused,
// passing, between the last piece and own, when nobody can tell whose the keys are. Package
// keyspace says how the records travel.
//
// What an entry says must be understood: a record that cannot be read, or the name
// of a command that this program does not know, may be the words of a later
// version, and is an error that ends the node, since applying anything else would
// let the replicas drift apart. So is an entry whose header names a level above
// command.Level. The cluster's feature level keeps both out of the log while older
// nodes are members. A command that no version would
// run (malformed, a wrong number of arguments, a record that nothing could carry)
// is answered with an error by all replicas, and so is one whose handler panics:
// what it did is undone.
//
// Machine.Check reads a payload as Apply does, and refuses it before it is proposed.
package shard
