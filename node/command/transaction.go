package command

import (
	"encoding/binary"

	"github.com/genuineh/aikv/node/keyspace"
)

// TransactionKind is the second byte of a transaction's payload, behind a byte 0:
// package shard's own records have other kinds.
const TransactionKind = 3

// Watched is a key that WATCH has looked at, and what it was.
type Watched struct {
	Key []byte
	keyspace.Watch
}

// AppendTransaction appends the beginning of a transaction's payload. Behind it come
// its commands, each in the form of AppendArgs. It runs in one piece, and only if no
// key has changed that was watched.
//
// In the log stand a byte 0, the kind, the number of watched keys, and for each of them
// the key, the index and the number of its last change (0 and 0: it was not there), and
// a number of fields: see keyspace.Watch. Numbers are uvarints, the key's length is one.
func AppendTransaction(dst []byte, watched []Watched) []byte {
	dst = binary.AppendUvarint(append(dst, 0, TransactionKind), uint64(len(watched)))
	for i := range watched {
		w := &watched[i]
		dst = append(binary.AppendUvarint(dst, uint64(len(w.Key))), w.Key...)
		dst = binary.AppendUvarint(dst, w.Version.Index)
		dst = binary.AppendUvarint(dst, uint64(w.Version.Op))
		dst = binary.AppendUvarint(dst, uint64(w.Fields))
	}
	return dst
}

// Transaction is a transaction's payload that is being read: first all that was
// watched, then the commands. A copy of it goes on by itself.
type Transaction struct {
	watched int // are left
	rest    []byte
}

// IsTransaction reports whether a payload is a transaction's.
func IsTransaction(payload []byte) bool {
	return len(payload) >= 2 && payload[0] == 0 && payload[1] == TransactionKind
}

// DecodeTransaction begins to read a payload that IsTransaction.
func DecodeTransaction(payload []byte) (Transaction, error) {
	n, rest, ok := uvarint(payload[2:])
	const smallest = 4 // bytes of a watched key: a count that lies costs nothing
	if !ok || n > uint64(len(rest)/smallest) {
		return Transaction{}, ErrArgs
	}
	return Transaction{watched: int(n), rest: rest}, nil
}

// Watched reads the next key that was watched; more is false behind the last one.
// The key shares the payload's memory.
func (t *Transaction) Watched() (w Watched, more bool, err error) {
	if t.watched == 0 {
		return Watched{}, false, nil
	}
	t.watched--
	length, rest, ok := uvarint(t.rest)
	if !ok || length > uint64(len(rest)) {
		return Watched{}, false, ErrArgs
	}
	w.Key, rest = rest[:length:length], rest[length:]
	var numbers [3]uint64
	for i := range numbers {
		if numbers[i], rest, ok = uvarint(rest); !ok {
			return Watched{}, false, ErrArgs
		}
	}
	if numbers[1] > 1<<32-1 || numbers[2] > 1<<62 {
		return Watched{}, false, ErrArgs
	}
	w.Version = keyspace.Version{Index: numbers[0], Op: uint32(numbers[1])}
	w.Fields = int64(numbers[2])
	t.rest = rest
	return w, true, nil
}

// Command appends the arguments of the next command to dst, as DecodeArgs does; more
// is false behind the last one.
func (t *Transaction) Command(dst [][]byte) (args [][]byte, more bool, err error) {
	if len(t.rest) == 0 {
		return dst, false, nil
	}
	args, t.rest, err = decodeArgs(dst, t.rest)
	return args, err == nil, err
}

// SkipWatched reads over what was watched.
func (t *Transaction) SkipWatched() error {
	for {
		if _, more, err := t.Watched(); !more {
			return err
		}
	}
}
