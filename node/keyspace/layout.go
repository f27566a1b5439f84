package keyspace

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/genuineh/aikv/node/slot"
)

// Record classes: the first byte of every stored key. See doc.go.
const (
	classState  = 0x00 // one record: format, applied index, clock
	classNamed  = 0x01 // name
	classCount  = 0x10 // slot
	classKey    = 0x20 // slot, fingerprint, key
	classExpiry = 0x30 // expireAt, slot, fingerprint, key
	// Everything in [classCount, classEnd) goes when the keyspace is flushed.
	classEnd = 0x80
)

// formatVersion stands in the state record.
const formatVersion = 1

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

func countKey(s uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{classCount}, s)
}

func namedKey(name string) []byte {
	return append([]byte{classNamed}, name...)
}

// ref is a key on its way through an operation; what is computed from it is
// computed once, and only if it is needed.
type ref struct {
	key  []byte
	hash uint64 // of the caches and change sets of this process
	// stored is the key's stored key, nil until place is called.
	stored storedKey
}

// place returns the stored key.
func (r *ref) place() storedKey {
	if r.stored == nil {
		stored := make([]byte, 0, keyHeader+len(r.key))
		r.stored = appendStoredKey(stored, slot.Of(r.key), fingerprint(r.key), r.key)
	}
	return r.stored
}

// storedAs is place, for a key whose record load has returned (nil: none), which
// saves making it.
func (r *ref) storedAs(old *record) storedKey {
	if r.stored == nil && old != nil {
		r.stored = old.stored
	}
	return r.place()
}
