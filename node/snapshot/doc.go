// Package snapshot copies the state of one member to another: all records of
// its store, as of one applied index, over a stream that may break at any point.
//
// # The stream
//
// The receiver asks (Request) and gets pieces:
//
//	piece   = format(1) kind(1) number(4) payload crc(4)
//	head    = the multiraft.Point of the state
//	records = (length(uvarint) key length(uvarint) value)*
//	end     = records(8) bytes(8) crc(4)
//
// A head, any number of records, an end. Pieces are numbered from 0; the crc of
// a piece (CRC32C) covers everything before it, that in the end covers the
// payloads of all records. The fixed numbers are little endian.
//
// # Invariants, and where each is tested (snapshot_test.go)
//
//   - What Receive accepts is exactly what was sent: a flipped bit, a piece that
//     is missing, twice there or in the wrong place, a cut, are errors.
//     TestDamagedStreams, TestCutStreams
//   - When it returns, the records are durable.
//   - The sender holds a view of its store for no longer than the stream moves:
//     it is ended when the receiver stalls or the member stops. TestStoppedReplica
//   - A node sends no faster than its Pace, whoever the receivers are. TestPace
//
// What the records mean is not for this package to know, nor where they are put:
// the owner of a member makes a new folder for them, and multiraft.Host.Reopen
// goes over to it.
package snapshot
