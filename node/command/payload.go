package command

import (
	"encoding/binary"
	"errors"
)

// ErrArgs is returned for bytes that AppendArgs did not write.
var ErrArgs = errors.New("command: malformed arguments")

// MaxArgs bounds the arguments of one command, its name among them: the front
// end takes no more from a client, and no more are read from the log.
const MaxArgs = 1 << 20

// What a command may have at most, whatever the configuration: it travels to the
// other nodes as one message.
const (
	MaxBulkLength  = 100 << 20 // bytes of one argument
	MaxQueryBuffer = 112 << 20 // bytes of all of it
)

// AppendArgs appends the form in which a command stands in the Raft log: the
// number of arguments as a uvarint, then the length (uvarint) and the bytes of
// each. There is at least one argument, so the first byte is never 0, with which
// transactions and package shard's own payloads begin.
func AppendArgs(dst []byte, args [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(args)))
	for _, arg := range args {
		dst = binary.AppendUvarint(dst, uint64(len(arg)))
		dst = append(dst, arg...)
	}
	return dst
}

// AskingKind is the second byte, behind a byte 0, of the payload of a client that sent
// ASKING.
const AskingKind = 15

// AppendAsking appends what makes the command or transaction that is appended next one
// of a client that has sent ASKING: it runs on a slot that the shard is importing.
func AppendAsking(dst []byte) []byte { return append(dst, 0, AskingKind) }

// CutAsking returns a payload without what AppendAsking has put before it, and whether
// that was there.
func CutAsking(payload []byte) (rest []byte, asking bool) {
	if len(payload) >= 2 && payload[0] == 0 && payload[1] == AskingKind {
		return payload[2:], true
	}
	return payload, false
}

// DecodeArgs appends the arguments that payload holds to dst. They share
// payload's memory. Bytes that are missing, left over or not in the shortest
// form are ErrArgs.
func DecodeArgs(dst [][]byte, payload []byte) ([][]byte, error) {
	dst, rest, err := decodeArgs(dst, payload)
	if err == nil && len(rest) != 0 {
		return nil, ErrArgs
	}
	return dst, err
}

// decodeArgs is DecodeArgs, and returns what is left over.
func decodeArgs(dst [][]byte, payload []byte) (args [][]byte, rest []byte, err error) {
	count, payload, ok := uvarint(payload)
	// Every argument takes a byte at least: a count that lies costs nothing.
	if !ok || count == 0 || count > MaxArgs || count > uint64(len(payload)) {
		return nil, nil, ErrArgs
	}
	for range count {
		var length uint64
		if length, payload, ok = uvarint(payload); !ok || length > uint64(len(payload)) {
			return nil, nil, ErrArgs
		}
		dst = append(dst, payload[:length:length])
		payload = payload[length:]
	}
	return dst, payload, nil
}

// uvarint splits a uvarint off b; ok is false if there is none, or a longer
// form than needed.
func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || size > 1 && b[size-1] == 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// MaxString returns how long a string may become, in bytes, where
// proto-max-bulk-len is set so: a longer one would fit into no command.
func MaxString(protoMaxBulkLen int) int { return min(protoMaxBulkLen, MaxBulkLength) }
