package command

import (
	"encoding/binary"

	"github.com/genuineh/aikv/node/keyspace"
)

// The second byte of payloads that begin with a byte 0 is their kind; package shard's own
// records have other ones.
const (
	// FormerTransactionKind is that of transactions of level 1, which knew no
	// epochs.
	FormerTransactionKind = 3
	// TransactionKind is that of transactions.
	TransactionKind = 4
)

// Watched is a key that WATCH has looked at, and what it was.
type Watched struct {
	Key []byte
	keyspace.Watch
	// Epoch is that of the last change of hands of the key's slot: versions are told
	// apart within an epoch only.
	Epoch uint64
}

// AppendTransaction appends the beginning of a transaction's payload. Behind it come
// its commands, each in the form of AppendArgs. It runs in one piece, and only if no
// key has changed that was watched.
//
// In the log stand a byte 0, the kind, the number of watched keys, and for each of
// them the key, the index and the number of its last change (0 and 0: it was not there),
// a number of fields, see keyspace.Watch, and the slot's epoch. Numbers are uvarints, the
// key's length is one.
func AppendTransaction(dst []byte, watched []Watched) []byte {
	dst = binary.AppendUvarint(append(dst, 0, TransactionKind), uint64(len(watched)))
	for i := range watched {
		w := &watched[i]
		dst = append(binary.AppendUvarint(dst, uint64(len(w.Key))), w.Key...)
		dst = binary.AppendUvarint(dst, w.Version.Index)
		dst = binary.AppendUvarint(dst, uint64(w.Version.Op))
		dst = binary.AppendUvarint(dst, uint64(w.Fields))
		dst = binary.AppendUvarint(dst, w.Epoch)
	}
	return dst
}

// Transaction is a transaction's payload that is being read: first all that was
// watched, then the commands. A copy of it goes on by itself.
type Transaction struct {
	watched int // are left
	rest    []byte
	former  bool // of level 1
}

// IsTransaction reports whether a payload is a transaction's.
func IsTransaction(payload []byte) bool {
	return len(payload) >= 2 && payload[0] == 0 && (payload[1] == TransactionKind || payload[1] == FormerTransactionKind)
}

// DecodeTransaction begins to read a payload that IsTransaction.
func DecodeTransaction(payload []byte) (Transaction, error) {
	t, rest := Transaction{former: payload[1] == FormerTransactionKind}, payload[2:]
	smallest := 5 // bytes of a watched key: a count that lies costs nothing
	if t.former {
		smallest = 4
	}
	n, rest, ok := uvarint(rest)
	if !ok || n > uint64(len(rest)/smallest) {
		return Transaction{}, ErrArgs
	}
	t.watched, t.rest = int(n), rest
	return t, nil
}

// Epochs reports whether what was watched has epochs.
func (t *Transaction) Epochs() bool { return !t.former }

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
	var known [4]uint64
	numbers := known[:]
	if t.former {
		numbers = known[:3]
	}
	for i := range numbers {
		if numbers[i], rest, ok = uvarint(rest); !ok {
			return Watched{}, false, ErrArgs
		}
	}
	if numbers[1] > 1<<32-1 || numbers[2] > 1<<62 {
		return Watched{}, false, ErrArgs
	}
	w.Version = keyspace.Version{Index: numbers[0], Op: uint32(numbers[1])}
	w.Fields, w.Epoch = int64(numbers[2]), known[3]
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
