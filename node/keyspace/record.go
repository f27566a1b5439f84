package keyspace

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/storage"
)

// Type is the type of a key's value. The numbers are stored.
type Type uint8

// The types of values.
const (
	TypeString    Type = 1
	TypeList      Type = 2
	TypeSet       Type = 3
	TypeSortedSet Type = 4
	TypeHash      Type = 5
	TypeStream    Type = 6
)

// String returns what the TYPE command answers.
func (t Type) String() string {
	switch t {
	case TypeString:
		return "string"
	case TypeList:
		return "list"
	case TypeSet:
		return "set"
	case TypeSortedSet:
		return "zset"
	case TypeHash:
		return "hash"
	case TypeStream:
		return "stream"
	default:
		return fmt.Sprintf("unknown(%d)", uint8(t))
	}
}

// known reports whether this program has values of the type.
func (t Type) known() bool {
	return t >= TypeString && t <= TypeStream
}

// flags returns the flags that a value of the type can have.
func (t Type) flags() Flags {
	switch t {
	case TypeHash:
		return flagLarge | flagVolatile | flagPaged
	case TypeSet:
		return flagLarge | flagIntegers | flagPaged
	case TypeSortedSet, TypeList:
		return flagLarge | flagPaged
	case TypeStream:
		return flagPaged
	default:
		return 0
	}
}

// Flags say in which form a value is kept. They are stored, in four bits; what
// they mean is up to the type. A string has none.
type Flags uint8

// Version says which change made a key what it is: the Raft index of its entry
// and the number of the change within the entry. Every change of a key gives it
// a new one, a change of its expiry too. It is the same on all replicas, and no
// two states of a key ever share one.
type Version struct {
	Index uint64
	Op    uint32
}

// Meta is what is known about a key, whatever its type.
type Meta struct {
	Type     Type
	Flags    Flags
	ExpireAt int64 // unix ms; 0: never
	Version  Version
	// Value is a string's value, nil for other types. It is shared and must not
	// be changed.
	Value []byte
	// Size is how many bytes the value takes in the key's record: of a string, its
	// length. See View.SizeOf for others.
	Size int64
}

// record is a key's metadata record. It never changes, so it is shared between
// views and transactions.
type record struct {
	stored storedKey
	// kept is the record as it is kept; nil if only a walk knows it.
	kept records.Record
	// body is what the type makes of it: a string's value, for one.
	body []byte
	// soonest is the soonest time of expiry of a hash's fields, 0: none.
	soonest int64
	meta    Meta
}

// newRecord makes a record of meta and a body, given in parts, in one piece of
// memory; meta.Value and meta.Size do not matter. soonest is that of a hash. It is good
// until the next Save, but for what is kept.
func (tx *Tx) newRecord(at storedKey, meta Meta, soonest int64, body ...[]byte) *record {
	const maxHeader = 1 + 3*binary.MaxVarintLen64
	var buf [maxHeader]byte
	header := append(buf[:0], byte(meta.Flags)<<4|byte(meta.Type))
	header = binary.AppendUvarint(header, uint64(meta.ExpireAt))
	header = binary.AppendUvarint(header, meta.Version.Index)
	header = binary.AppendUvarint(header, uint64(meta.Version.Op))
	size := len(header)
	for _, part := range body {
		size += len(part)
	}
	kept := append(tx.own.recs.Draft(at, size), header...)
	for _, part := range body {
		kept = append(kept, part...)
	}
	r := tx.slab.next()
	*r = record{stored: kept.Key(), kept: kept, body: kept.Value()[len(header):], soonest: soonest, meta: meta}
	r.describe()
	return r
}

// describe fills in what meta says of the body.
func (r *record) describe() {
	r.meta.Value, r.meta.Size = nil, int64(len(r.body))
	if r.meta.Type == TypeString {
		r.meta.Value = r.body
	}
}

var errBadRecord = errors.New("not a metadata record")

// readKept makes r what is kept, whose content was checked when it came from the
// store.
func (r *record) readKept(kept records.Record) error {
	*r = record{stored: kept.Key(), kept: kept}
	if err := r.read(kept.Value()); err != nil {
		return fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, kept.Key(), err)
	}
	return nil
}

// decodeRecord reads a record of unknown origin; it keeps both slices.
func decodeRecord(at storedKey, encoded []byte) (*record, error) {
	r := &record{stored: at}
	err := r.read(encoded)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, at, err)
	}
	return r, nil
}

// read fills r from what is stored, and keeps the slice. It does not look at what
// the type makes of the body, beyond its head.
func (r *record) read(encoded []byte) error {
	if len(encoded) == 0 {
		return errBadRecord
	}
	r.meta = Meta{Type: Type(encoded[0] & 0x0f), Flags: Flags(encoded[0] >> 4)}
	if !r.meta.Type.known() || r.meta.Flags&^r.meta.Type.flags() != 0 {
		return errBadRecord
	}
	var fields [3]uint64
	rest := encoded[1:]
	for i := range fields {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return errBadRecord
		}
		fields[i], rest = v, rest[n:]
	}
	r.meta.ExpireAt, r.meta.Version = int64(fields[0]), Version{Index: fields[1], Op: uint32(fields[2])}
	r.body, r.soonest = rest, 0
	switch {
	case r.meta.Flags&flagPaged != 0 && len(rest) < objectSize:
		return errBadRecord
	case r.meta.Flags&flagPaged != 0 && r.meta.Type == TypeHash:
		soonest, _, ok := takeUvarint(rest[objectSize:])
		if !ok {
			return errBadRecord
		}
		r.soonest = int64(soonest)
	case r.meta.Flags&flagVolatile != 0:
		_, rest, counted := takeUvarint(rest)
		soonest, _, ok := takeUvarint(rest)
		if !counted || !ok {
			return errBadRecord
		}
		r.soonest = int64(soonest)
	}
	r.describe()
	return nil
}

// check says what is wrong with the body.
func (r *record) check() error {
	soonest, ok := int64(0), true
	switch paged := r.meta.Flags&flagPaged != 0; {
	case r.meta.Type == TypeHash && paged:
		soonest, ok = checkPagedHash(r.body)
	case r.meta.Type == TypeHash:
		soonest, ok = checkInlineHash(r.meta.Flags, r.body)
	case r.meta.Type == TypeSet:
		ok = checkSet(r.meta.Flags, r.body)
	case r.meta.Type == TypeSortedSet && paged:
		ok = checkPagedSortedSet(r.body)
	case r.meta.Type == TypeSortedSet:
		ok = checkInlineSortedSet(r.body)
	case r.meta.Type == TypeList && paged:
		ok = checkPagedList(r.body)
	case r.meta.Type == TypeList:
		ok = checkInlineList(r.body)
	case r.meta.Type == TypeStream && paged:
		ok = checkPagedStream(r.body)
	case r.meta.Type == TypeStream:
		ok = checkInlineStream(r.body)
	}
	if !ok || soonest != r.soonest {
		return errBadRecord
	}
	return nil
}

// checkStored says what is wrong with a record that was read from the store.
func checkStored(key, value []byte) error {
	switch {
	case len(key) == 0 || key[0] != classKey:
		return nil
	case len(key) < keyHeader:
		return fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, key, errBadRecord)
	}
	_, err := decodeRecord(key, value)
	return err
}
