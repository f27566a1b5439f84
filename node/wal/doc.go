// Package wal is the Raft log of all groups of the process: one sequence of
// batches on disk, written by one persister, so that any number of groups
// shares one write and one sync.
//
// # Why own code
//
// It is what Multi-Raft stands on. A general key-value store has no cheap
// deletion of ranges, writes everything twice, and (goleveldb) switches its
// journal without syncing it and skips damaged blocks at recovery. A log per
// group would sync once a group.
//
// # Shape
//
// The directory holds numbered segments, a LOCK (which names the process that
// has it), and at times a segment that is being made (.tmp). A segment starts with a header and a checkpoint, a batch
// with everything but entries: identity, and each group's meta, HardState and
// truncation point. Behind it follow the batches of Log.Write, and zeros which
// are written ahead, so that a sync need not change the file's length. See
// format.go for the bytes.
//
// In memory, each group has a 32-byte reference to every entry's record and the
// most recent entries themselves.
//
// # Invariants
//
//  1. After a crash, recovery yields whole batches only, a prefix of those
//     written, among them all that were synced. (TestEveryByteOfTheTail,
//     TestCrashes)
//  2. Damage to what was durable is never taken for the end of the log: Open
//     returns a *CorruptError with file and offset, and touches nothing. The
//     proof is a later batch's header, which says up to where everything was
//     durable when it was written, or a later segment's header, which says
//     where this one ends. (TestDamage, TestDamageInClosedSegment)
//  3. What recovery dropped does not come back behind later batches: it is
//     overwritten and synced before Open returns. (TestDroppedTailStaysGone)
//  4. What Open returns is durable, even if the writes that brought it there
//     never were synced. (TestRecoveredStateIsDurable,
//     TestFailedSyncIsMadeGood)
//  5. A group has all entries behind its truncation point, up to its last one.
//     Log.plan refuses a batch that would leave a gap and recovery one that is
//     there. (TestBadBatches, TestMissingSegment)
//  6. Only entries are ever needed from a segment that is not the last one; it
//     is removed when no live entry is in it and everything that made it
//     needless is durable, oldest first, one at a time. (TestReclaim,
//     TestCrashes)
//  7. A segment bears its final name only once header and checkpoint are
//     durable, and is made only when the one before it is. (TestCrashes)
//  8. After a failed write or sync nothing is written any more; a sync is never
//     tried again. (TestPoison)
//  9. Readers never wait for the disk on account of Write, and a segment stays
//     readable while someone reads from it. (TestReadersDuringReclaim)
//
// # What it cannot tell
//
// Damage in the very last batches, those after which nothing was synced and
// written again, looks like a torn write, and so does a last segment whose end
// was cut off: both are dropped with a warning (without one, if the cut is
// between two batches). With the policies Interval and Never recovery cuts the
// last segment at the first bad batch, whatever follows, and logs what it
// dropped; older segments are synced when they are full, so damage to those is
// an error all the same.
package wal
