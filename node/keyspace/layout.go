package keyspace

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/genuineh/aikv/node/slot"
)

// Record classes: the first byte of every stored key. See doc.go.
const (
	// 00 is records' own: format, applied index, clock and what else it needs.
	classNamed   = 0x01 // name
	classCount   = 0x10 // slot
	classKey     = 0x20 // slot, fingerprint, key
	classExpiry  = 0x30 // expireAt, slot, fingerprint, key
	classPage    = 0x40 // slot, object, page
	classRemains = 0x50 // slot, object, or what several begin with; or a change log
	classChange  = 0x60 // change log: see changes.go
	// Everything from classCount on goes when the keyspace is flushed. 70 to 7f are
	// records' own.
)

// keyHeader is how many bytes stand before the key in a stored key of classKey:
// class (1), slot (2), fingerprint (4).
const keyHeader = 1 + 2 + 4

// expiryHeader is the same for classExpiry: class (1), expireAt (8), and slot
// and fingerprint as above.
const expiryHeader = 1 + 8 + 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fingerprint orders the keys of a slot; cursors are made of it.
func fingerprint(key []byte) uint32 { return crc32.Checksum(key, castagnoli) }

// appendStoredKey appends the stored key of a metadata record.
func appendStoredKey(dst []byte, s uint16, fp uint32, key []byte) []byte {
	dst = appendKeyPrefix(dst, s, fp)
	return append(dst, key...)
}

// appendKeyPrefix appends what all stored keys at a position begin with. They
// sort as (slot, fingerprint, key).
func appendKeyPrefix(dst []byte, s uint16, fp uint32) []byte {
	dst = append(dst, classKey)
	dst = binary.BigEndian.AppendUint16(dst, s)
	return binary.BigEndian.AppendUint32(dst, fp)
}

// storedKey is the stored key of a metadata record.
type storedKey []byte

func (k storedKey) slot() uint16        { return binary.BigEndian.Uint16(k[1:]) }
func (k storedKey) fingerprint() uint32 { return binary.BigEndian.Uint32(k[3:]) }
func (k storedKey) key() []byte         { return k[keyHeader:] }

// cursor is the position of the key as SCAN tells it.
func (k storedKey) cursor() uint64 { return uint64(k.slot())<<32 | uint64(k.fingerprint()) }

// appendExpiryKey appends the stored key of the expiry entry of the record that
// is stored at k.
func appendExpiryKey(dst []byte, expireAt int64, k storedKey) []byte {
	dst = append(dst, classExpiry)
	dst = binary.BigEndian.AppendUint64(dst, uint64(expireAt))
	return append(dst, k[1:]...)
}

// expiryBound is the lowest stored key of entries that expire at expireAt.
func expiryBound(expireAt int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{classExpiry}, uint64(expireAt))
}

// expiryAt reads the time out of an expiry entry's stored key.
func expiryAt(stored []byte) int64 { return int64(binary.BigEndian.Uint64(stored[1:])) }

// expiryKey reads the key out of an expiry entry's stored key.
func expiryKey(stored []byte) []byte { return stored[expiryHeader:] }

// expirySlot reads the slot out of an expiry entry's stored key.
func expirySlot(stored []byte) uint16 {
	return binary.BigEndian.Uint16(stored[9:]) & (slot.Count - 1)
}

// slotOfCount reads the slot out of a count record's stored key; it is none if that
// is no such key.
func slotOfCount(stored []byte) uint16 {
	if len(stored) != 3 {
		return slot.Count
	}
	return binary.BigEndian.Uint16(stored[1:])
}

func countKey(s uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{classCount}, s)
}

func namedKey(name string) []byte {
	return append([]byte{classNamed}, name...)
}

// filterPart says in which filter a record's key is: metadata has one a slot.
func filterPart(key []byte) (part uint16, ok bool) {
	if len(key) < keyHeader || key[0] != classKey {
		return 0, false
	}
	return storedKey(key).slot() & (slot.Count - 1), true
}

// filterRange is the range of stored keys that are in a slot's filter.
func filterRange(s uint16) (lower, upper []byte) { return appendKeyPrefix(nil, s, 0), slotEnd(s) }

// ref is a key on its way through an operation, with its stored key.
type ref struct {
	key    []byte
	stored storedKey
}

// slotCounts is what is counted of the keys of a slot: all, and those that have a
// time of expiry.
type slotCounts struct{ keys, expiring int64 }

func (c slotCounts) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.keys))
	return binary.AppendUvarint(dst, uint64(c.expiring))
}

// decodeCounts reads a count record. Those of earlier versions tell nothing of
// expiry.
func decodeCounts(b []byte) (c slotCounts, ok bool) {
	keys, rest, ok := takeUvarint(b)
	expiring := uint64(0)
	if ok && len(rest) > 0 {
		expiring, rest, ok = takeUvarint(rest)
	}
	return slotCounts{int64(keys), int64(expiring)}, ok && len(rest) == 0
}
