// Package migration moves slots with their keys from one shard to another, while clients
// work: the part of it that is done at the target.
//
// MetaRaft keeps the migrations (topology.Migration). The node that leads the target of an
// active one has a worker for it, which pulls what the source has of the slots, and has
// each piece logged by the target. Nothing that the worker knows is needed by another
// one: how far the copy has come stands in the target's own state (shard.ImportState), so
// whoever leads next goes on from there.
//
//   - The source's leader logs a watch as soon as it sees the migration (package replica).
//     From then on any member of the source gives the same pieces for the same positions.
//   - The target logs the beginning of an import, and then pieces: first all records in
//     their order, then what has changed meanwhile. A piece is applied only where the last
//     one has ended: exactly once, whoever sends it how often.
//   - When a pull has brought everything, the worker has MetaRaft hand the slots over:
//     the source seals them, and clients wait. The next pulls wait for the seal at the
//     source. The piece behind which nothing is left of the sealed slots says so, with the
//     seal's epoch.
//   - When that piece is committed the migration is completed, in MetaRaft, with that epoch:
//     the one point from which on the target owns the slots. Package replica does the
//     rest: the target takes the slots up, the source drops what it has of them.
//   - A hand-over that takes longer than clients should wait is handed back, and tried
//     again later. What cannot go on, such as after a FLUSHALL, fails with a text.
//
// The copy is paced, see Options.Pace, and leaves the target time for clients between
// pieces.
package migration
