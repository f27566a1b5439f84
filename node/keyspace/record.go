package keyspace

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/storage"
)

// Type is the type of a key's value. The numbers are stored.
type Type uint8

// TypeString is a string, kept inline in its metadata record. Lists, sets,
// sorted sets, hashes and streams will follow it.
const TypeString Type = 1

// String returns what the TYPE command answers.
func (t Type) String() string {
	if t == TypeString {
		return "string"
	}
	return fmt.Sprintf("unknown(%d)", uint8(t))
}

// Version says which write made a key what it is: the Raft index of its entry
// and the number of the write within the entry. It is the same on all replicas,
// and no two values of a key ever share one.
type Version struct {
	Index uint64
	Op    uint32
}

// Meta is what is known about a key.
type Meta struct {
	Type     Type
	ExpireAt int64 // unix ms; 0: never
	// Value is a string's value. It is shared and must not be changed.
	Value   []byte
	Version Version
	Size    uint64 // a string's length in bytes
}

// record is a key's metadata record. It never changes, so it is shared between
// caches, views and transactions.
type record struct {
	stored storedKey
	// encoded is what the store holds under stored; meta.Value is a part of it.
	encoded []byte
	meta    Meta
}

// newString makes the record of a string, in one piece of memory.
func newString(at storedKey, value []byte, expireAt int64, version Version) *record {
	const maxHeader = 1 + 3*binary.MaxVarintLen64
	buf := make([]byte, 0, len(at)+maxHeader+len(value))
	buf = append(buf, at...)
	buf = append(buf, byte(TypeString))
	buf = binary.AppendUvarint(buf, uint64(expireAt))
	buf = binary.AppendUvarint(buf, version.Index)
	buf = binary.AppendUvarint(buf, uint64(version.Op))
	buf = append(buf, value...)
	return &record{
		stored:  storedKey(buf[:len(at):len(at)]),
		encoded: buf[len(at):],
		meta: Meta{
			Type: TypeString, ExpireAt: expireAt, Version: version,
			Value: buf[len(buf)-len(value):], Size: uint64(len(value)),
		},
	}
}

// withExpiry is the same value with another time of expiry; the version stays.
func (r *record) withExpiry(at int64) *record {
	return newString(r.stored, r.meta.Value, at, r.meta.Version)
}

var errBadRecord = errors.New("not a metadata record")

// decodeRecord reads a stored record; it keeps both slices.
func decodeRecord(at storedKey, encoded []byte) (*record, error) {
	meta, err := decodeMeta(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, at, err)
	}
	return &record{stored: at, encoded: encoded, meta: meta}, nil
}

func decodeMeta(encoded []byte) (Meta, error) {
	if len(encoded) == 0 || Type(encoded[0]) != TypeString {
		return Meta{}, errBadRecord
	}
	var fields [3]uint64
	rest := encoded[1:]
	for i := range fields {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return Meta{}, errBadRecord
		}
		fields[i], rest = v, rest[n:]
	}
	return Meta{
		Type: TypeString, ExpireAt: int64(fields[0]),
		Value: rest, Version: Version{Index: fields[1], Op: uint32(fields[2])}, Size: uint64(len(rest)),
	}, nil
}
