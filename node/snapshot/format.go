package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/genuineh/aikv/node/multiraft"
)

const (
	format      = 1
	pieceHeader = 1 + 1 + 4
	pieceFooter = 4

	// pieceSize is how long a piece of records gets, unless one record is longer.
	pieceSize = 256 << 10
)

type kind byte

const (
	kindHead    kind = 1
	kindRecords kind = 2
	kindEnd     kind = 3
)

// ErrDamaged is wrapped by errors that say that a stream is not what was sent.
var ErrDamaged = errors.New("snapshot: damaged stream")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginPiece returns a piece without payload, sealPiece completes it.
func beginPiece(k kind, number uint32, size int) []byte {
	piece := make([]byte, 0, pieceHeader+size+pieceFooter)
	piece = append(piece, format, byte(k))
	return binary.LittleEndian.AppendUint32(piece, number)
}

func sealPiece(piece []byte) []byte {
	return binary.LittleEndian.AppendUint32(piece, crc32.Checksum(piece, castagnoli))
}

// openPiece checks a piece and returns its payload.
func openPiece(piece []byte, number uint32) (kind, []byte, error) {
	if len(piece) < pieceHeader+pieceFooter {
		return 0, nil, fmt.Errorf("%w: a piece of %d bytes", ErrDamaged, len(piece))
	}
	if piece[0] != format {
		return 0, nil, fmt.Errorf("snapshot: format %d is not known here (only %d)", piece[0], format)
	}
	body := piece[:len(piece)-pieceFooter]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(piece[len(body):]) {
		return 0, nil, fmt.Errorf("%w: the checksum of piece %d does not match", ErrDamaged, number)
	}
	if got := binary.LittleEndian.Uint32(body[2:]); got != number {
		return 0, nil, fmt.Errorf("%w: piece %d comes in place of %d", ErrDamaged, got, number)
	}
	return kind(body[1]), body[pieceHeader:], nil
}

// total is what the end says of all records.
type total struct {
	records, bytes uint64
	crc            uint32
}

func (t *total) add(payload []byte, records int) {
	t.records += uint64(records)
	t.bytes += uint64(len(payload))
	t.crc = crc32.Update(t.crc, castagnoli, payload)
}

func (t total) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, t.records)
	dst = binary.LittleEndian.AppendUint64(dst, t.bytes)
	return binary.LittleEndian.AppendUint32(dst, t.crc)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func cutBytes(b []byte) (value, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n], b[n:], true
}

// Request is what a receiver asks a sender for.
type Request struct {
	Group multiraft.GroupID
	// To is the receiver's Raft id in the group.
	To uint64
}

// Append appends the request's encoding: format(1) group(8) to(8).
func (r Request) Append(dst []byte) []byte {
	dst = append(dst, format)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Group))
	return binary.LittleEndian.AppendUint64(dst, r.To)
}

// DecodeRequest reads what Append wrote.
func DecodeRequest(b []byte) (Request, error) {
	if len(b) != 1+8+8 || b[0] != format {
		return Request{}, errors.New("snapshot: malformed request")
	}
	return Request{
		Group: multiraft.GroupID(binary.LittleEndian.Uint64(b[1:])), To: binary.LittleEndian.Uint64(b[9:]),
	}, nil
}
