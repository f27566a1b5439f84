// Package keyspace keeps the keys of one shard, in memory and in an ordered
// store: typed values with expiry, in Redis Cluster's slots, changed by one transaction
// at a time and read by many views next to it.
//
// # Border
//
// Below is records: bytes in order, transactions, views and checkpoints, no idea of
// keys or time.
// Above is shard: which entries to apply, which slots are owned, what a command
// means. The keyspace knows what both must not: how a key becomes records, and
// that key, expiry index and counts of one commit belong together. It has no
// clock and no randomness, and no goroutine of its own: everything it stores is a
// function of the entries applied, so members that applied the same entries
// answer alike, whatever their caches, views and batch borders were. (What it
// stores as bytes is the same too.)
//
// # Invariants
//
//   - A transaction is one commit, and each carries the applied index and the
//     clock. After a crash all three belong together.
//   - There is an expiry entry for every key with an expiry, or with a field that
//     has one, at the soonest of these times, and no other.
//   - What has expired is not there: no key, no field, and no hash without fields.
//   - The count of a slot is the number of its metadata records; slots without
//     keys have no count record. Len is their sum.
//   - The clock is the largest entry time applied. In writes it alone decides
//     what has expired.
//   - No two states of a key have the same version: every change gives it a new
//     one, and so does its arrival from another keyspace.
//   - Keys of slots that are hidden (under import, or being dropped) are seen, counted
//     and swept by nobody.
//   - A job's change log has each stored key that has changed since the job watches its
//     slots, once, at the last entry that changed it.
//   - A view changes nothing. A transaction deletes the expired keys that it
//     looks up; its reading half only does not see them.
//   - A view sees one committed state, the newest when it began; it never sees
//     half of a transaction, nor an uncommitted one, and a view that begins after
//     Commit has returned sees that transaction.
//
// # Layout
//
// Stored keys begin with a class byte. Numbers in them are big endian, so that
// they sort.
//
//	00                                        records' own: format, applied index, clock, …
//	01 name                                   a named record of the state machine, or "moves"
//	10 slot:2                                 numbers of keys of the slot, and of those that
//	                                          have a time of expiry, as uvarints
//	20 slot:2 fingerprint:4 key               a key's metadata
//	30 expireAt:8 slot:2 fingerprint:4 key    expiry index
//
// Metadata is a byte (flags of the type in its upper half, the type in its
// lower), the time of expiry (0: none), the version's index and operation number
// (uvarints), and then, to the end, what the type makes of it: a string's value.
// That a value is inline makes a SET one put, and a GET one look-up. Hashes, sets,
// sorted sets and lists are inline as well, while they are small: see inlineHash,
// inlineSet, integerSet, inlineSortedSet and inlineList. An expiry
// entry has no value, or, for a hash of which fields expire but not the key, the
// byte 1; the number of keys that expire is that of entries without.
//
// Keys sort by slot first, which makes what cluster commands want of a slot one
// range of the store; then by fingerprint (CRC32C of the key), so that a
// position in the keyspace fits into SCAN's cursor of 64 bits without any state:
// slot and fingerprint of the next key. One call of Scan returns all keys of a
// fingerprint, so keys that are there throughout are returned, whatever else
// comes and goes. Only where somebody has made many keys share one does it stop
// among them; see cursorWithin.
//
// Counts are stored (one small record for each slot whose count a batch
// changes; overwriting a key changes none) rather than counted on opening: that
// would have to read all values too, as they lie between the keys. Opening
// reads the counts, at most one record a slot, and neither keys nor values; of a
// store of the former format, the expiry index too.
//
// # Big values
//
// What outgrows a metadata record lies in trees (package tree), with a record for
// each page. The metadata has the trees' roots: see pagedHash, pagedSet,
// pagedSortedSet, pagedList and pagedStream.
//
//	40 slot:2 object:20 page:4    a page of a big value
//	50 slot:2 object:20           remains of one that is gone
//	50 slot:2 job:8               the same, of all that a canceled job has brought
//	60 …, 50 ffff log:12          change logs, and the remains of one: see changes.go
//
// An object's number (objectID) is unique in the cluster and outlives renaming.
// That makes deleting a big value O(1), by DEL, by being overwritten, or because it
// has expired: the metadata goes, a record of class 50 comes, and each member
// sweeps the pages behind its checkpoints, outside the log (records.Options.Ended);
// a new value of that name has another number, so it never meets the old pages. What
// is swept, and when, nobody can see: views that need the pages are waited for.
// COPY writes the pages anew. Classes from 10 to 7f are what Flush deletes.
//
// Where fields of a big hash expire, a command that changes it removes a few of
// them, and the sweep of expired keys the rest; until then they are stored, and
// looked past.
//
// # Slots that move
//
// A job watches slots here (Tx.BeginLog), or brings them here (Tx.Import, Take, Show,
// EndImport, and Drop for what is not wanted any more). View.Pull is between the two: it
// returns records of keys and pages as they are stored, all of them in order and then
// those in the change log. What a record has become meanwhile does not matter: whatever
// is changed after it was sent is sent again, as it is then. Counts and the expiry index
// do not travel; they follow from the records.
//
// Pages of objects that are gone are left out, as any replica may sweep them at any time.
// That an object is gone is told by its remains, which the log has; they make the other
// side sweep what it has been sent.
//
// An object's number is the target's own (take.go): a slot that returns meets nothing of
// what was there before. And a canceled job leaves one record of remains for each slot,
// though it may have brought pages without a key.
//
// # In memory, over a store
//
// Records are resident in memory; the store is their checkpoint (package records): a
// commit touches memory alone, and a crash falls back to the last checkpoint, from
// where the log is repeated. Stores of the former format, in which count records told
// nothing of expiry, are read as they are (the expiry index is walked over, once), and
// go over to the present one with the first checkpoint.
//
// A key that does not exist is nearly always known not to: each slot has a filter over
// its metadata.
package keyspace
