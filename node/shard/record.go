package shard

import (
	"encoding/binary"
	"errors"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// errRecord is returned for bytes that are no record.
var errRecord = errors.New("malformed record")

// errPayload answers a payload that holds no command.
const errPayload = resp.Error("ERR the command cannot be read: too many arguments, or malformed")

const (
	recordMark = 0 // the first byte of this package's own payloads

	kindOwn  = 1
	kindSeal = 2
	// 3 is command.TransactionKind
)

// AppendOwn appends the payload with which the shard takes up slots. It acts on
// those slots alone whose epoch is below epoch.
func AppendOwn(dst []byte, slots slot.Set, epoch uint64) []byte {
	return appendRecord(dst, kindOwn, &slots, epoch)
}

// AppendSeal appends the payload with which the shard gives slots up. It acts
// on those slots alone whose epoch is below epoch.
func AppendSeal(dst []byte, slots slot.Set, epoch uint64) []byte {
	return appendRecord(dst, kindSeal, &slots, epoch)
}

func appendRecord(dst []byte, kind byte, slots *slot.Set, epoch uint64) []byte {
	dst = append(dst, recordMark, kind)
	dst = binary.AppendUvarint(dst, epoch)
	ranges := slots.Ranges()
	dst = binary.AppendUvarint(dst, uint64(len(ranges)))
	for _, r := range ranges {
		dst = binary.BigEndian.AppendUint16(dst, r.Start)
		dst = binary.BigEndian.AppendUint16(dst, r.End)
	}
	return dst
}

// record is a decoded payload of this package.
type record struct {
	kind   byte
	epoch  uint64
	ranges []slot.Range
}

// decodeRecord reads what appendRecord wrote, the mark included.
func decodeRecord(b []byte) (record, error) {
	if len(b) < 2 || b[0] != recordMark || b[1] != kindOwn && b[1] != kindSeal {
		return record{}, errRecord
	}
	r := record{kind: b[1]}
	var size int
	if r.epoch, size = binary.Uvarint(b[2:]); size <= 0 {
		return record{}, errRecord
	}
	b = b[2+size:]
	count, size := binary.Uvarint(b)
	if size <= 0 {
		return record{}, errRecord
	}
	b = b[size:]
	const rangeSize = 4
	if count > slot.Count || uint64(len(b)) != count*rangeSize {
		return record{}, errRecord
	}
	for ; len(b) > 0; b = b[rangeSize:] {
		found := slot.Range{Start: binary.BigEndian.Uint16(b), End: binary.BigEndian.Uint16(b[2:])}
		if found.Start > found.End || found.End >= slot.Count {
			return record{}, errRecord
		}
		r.ranges = append(r.ranges, found)
	}
	return r, nil
}
