// Package shard is the state machine of a shard's Raft group: it runs committed
// commands on the shard's keyspace and keeps the table of slots that the shard
// owns.
//
// # Payloads
//
// An entry holds payloads. One is a command, in the form of command.AppendArgs, whose
// first byte is never 0; a transaction, in that of command.AppendTransaction; or one of
// this package's own records: a byte 0, a kind, an epoch (uvarint) and slots:
//
//	own   the shard takes up the slots
//	seal  the shard gives the slots up: no command on them runs behind it
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
