// Package storage is an ordered key-value store with atomic batches and transactions: goleveldb
// on disk for nodes, a sorted map in memory for simulations and tests.
//
// What a caller may rely on after a crash is the same for both: the store holds
// the result of a prefix of the batches that were written, in order, and that
// prefix reaches at least to the last batch before the last Sync, or the last
// transaction that was committed: those count as batches here. Level goes to
// some length for the word prefix (see recovery.go), because the applied index
// that travels in each batch is only worth something if everything before it is
// there too.
package storage

import "errors"

var (
	// ErrNotFound is what Get returns for a key that is not there.
	ErrNotFound = errors.New("storage: key not found")
	// ErrLocked is returned on opening a database that is in use.
	ErrLocked = errors.New("storage: database is in use by another process")
	// ErrNewerFormat is returned on opening a database that a newer version of
	// the program has written.
	ErrNewerFormat = errors.New("storage: database has a newer format")
	// ErrCorrupt is wrapped by every error that says that stored data is
	// damaged; the error's text names the file.
	ErrCorrupt = errors.New("storage: corrupt")
	// ErrClosed is returned by methods that are called after Close.
	ErrClosed = errors.New("storage: closed")
)

// Store is an ordered map from keys to values. All methods may be called
// concurrently, but there is one writer at a time. After any error other than
// ErrNotFound the store can no longer be trusted: the caller does not go on
// with it.
type Store interface {
	// Get returns the value of key; the caller owns it.
	Get(key []byte) ([]byte, error)
	// Has reports whether key is there, without reading its value.
	Has(key []byte) (bool, error)
	// Iterate returns an iterator over the keys in [lower, upper) as of now;
	// a nil bound is open. The caller releases it, and does so before Close.
	Iterate(lower, upper []byte) Iterator
	// Write applies a batch atomically and does not keep it. It is not synced:
	// after a crash of the machine the store holds a prefix of the written
	// batches.
	Write(b *Batch) error
	// Sync returns once every batch written before is on stable storage.
	// It may run next to Write.
	Sync() error
	// Begin begins a transaction. Until it ends, other writers wait.
	Begin() (Transaction, error)
	// Close syncs and closes the store.
	Close() error
}

// Transaction is a change of any size that goes past the journal into tables. It
// takes effect at one point in time, in Commit; until then nobody sees anything
// of it, and a crash leaves nothing. It is used by one goroutine and ends with
// Commit or Discard. It is cheapest if keys come in ascending order, each once.
type Transaction interface {
	// Put sets key to value. Both are copied.
	Put(key, value []byte) error
	// Delete removes key; removing a key that is not there does nothing.
	Delete(key []byte) error
	// Commit returns once the transaction, and everything written before it, is
	// on stable storage. After an error it is unknown whether it took effect.
	Commit() error
	// Discard drops the transaction. After Commit it does nothing.
	Discard()
}

// Iterator walks over keys in ascending order. It starts before the first key.
// Key and Value are valid until the next call. An Iterator is used by one
// goroutine.
type Iterator interface {
	Next() bool
	Key() []byte
	Value() []byte
	// Err returns what ended the iteration early, if anything.
	Err() error
	Release()
}

// Peek returns the first record of an iterator that has not begun, and an
// iterator over all its records, that one included, which takes its place. The
// record is valid until the first call of Next. ok is false if there is none, or
// it cannot be read.
func Peek(it Iterator) (key, value []byte, whole Iterator, ok bool) {
	p := &peeked{Iterator: it, pending: it.Next()}
	if !p.pending {
		return nil, nil, p, false
	}
	return it.Key(), it.Value(), p, true
}

// peeked is an iterator that is at its first record already.
type peeked struct {
	Iterator
	pending bool
}

// Next implements Iterator.
func (p *peeked) Next() bool {
	if p.pending {
		p.pending = false
		return true
	}
	return p.Iterator.Next()
}
