package keyspace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// Options sizes a keyspace.
type Options struct {
	// CacheBytes bounds the cache of hot keys. 0: 32 MiB; negative: no cache.
	CacheBytes int64
}

// Keyspace is the data of one shard replica. Any number of views may run at the
// same time, next to the one write transaction.
type Keyspace struct {
	store storage.Store
	cache *cache
	seed  maphash.Seed
	// latest is the newest commit that is visible. Storing it is the moment at
	// which a transaction becomes so.
	latest atomic.Pointer[commit]
	// counts is the number of keys of each slot, as of the newest commit.
	counts [slot.Count]atomic.Int64
	expiry soonest
	// expired counts the keys that transactions found expired and removed.
	expired atomic.Int64
	// views is held for reading by every view, and for writing by the commit
	// of a transaction that flushes (doc.go says why), and by Close.
	views  sync.RWMutex
	closed bool // guarded by views

	writer sync.Mutex    // held by the write transaction
	batch  storage.Batch // the writer's, kept for its memory
	undo   []undone      // the writer's, kept for its memory
	failed error         // the writer's: the first commit that failed
}

// commit is a state of the keyspace: what views begin from, and what lets a
// view that began from an earlier one go on reading that.
type commit struct {
	applied uint64
	clock   int64
	total   int64 // keys
	// changes, counts and named hold what the commit replaced.
	changes *changeSet
	counts  []slotCount
	named   map[string][]byte
	// next is the commit after this one. It is set before that commit writes
	// anything a view could meet.
	next atomic.Pointer[commit]
}

type slotCount struct {
	slot uint16
	keys int64
}

// Open reads the keyspace that store holds. The caller keeps the ownership of
// store, and closes it after the last view and transaction have ended.
func Open(store storage.Store, opts Options) (*Keyspace, error) {
	const defaultCache = 32 << 20
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCache
	}
	ks := &Keyspace{store: store, cache: newCache(opts.CacheBytes), seed: maphash.MakeSeed()}
	ks.expiry.stale = true
	first := &commit{}
	var err error
	if first.applied, first.clock, err = readState(store); err != nil {
		return nil, err
	}
	if first.total, err = ks.readCounts(); err != nil {
		return nil, err
	}
	if err := ks.expiry.count(store); err != nil {
		return nil, err
	}
	ks.latest.Store(first)
	return ks, nil
}

// The state record: format (1 byte), applied index (8), clock (8).
const stateSize = 1 + 8 + 8

func readState(store storage.Store) (applied uint64, clock int64, err error) {
	state, err := store.Get([]byte{classState})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return 0, 0, nil
	case err != nil:
		return 0, 0, fmt.Errorf("keyspace: %w", err)
	}
	return decodeState(state)
}

func decodeState(state []byte) (applied uint64, clock int64, err error) {
	switch {
	case len(state) > 0 && state[0] > formatVersion:
		return 0, 0, fmt.Errorf("%w: keyspace format %d, this program reads up to %d",
			storage.ErrNewerFormat, state[0], formatVersion)
	case len(state) != stateSize || state[0] != formatVersion:
		return 0, 0, fmt.Errorf("keyspace: %w: state record", storage.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(state[1:]), int64(binary.BigEndian.Uint64(state[9:])), nil
}

func encodeState(applied uint64, clock int64) []byte {
	state := append(make([]byte, 0, stateSize), formatVersion)
	state = binary.BigEndian.AppendUint64(state, applied)
	return binary.BigEndian.AppendUint64(state, uint64(clock))
}

// readCounts fills counts and returns their sum.
func (ks *Keyspace) readCounts() (total int64, err error) {
	it := ks.store.Iterate([]byte{classCount}, []byte{classCount + 1})
	defer it.Release()
	for it.Next() {
		n, size := binary.Uvarint(it.Value())
		if len(it.Key()) != 3 || size <= 0 {
			return 0, fmt.Errorf("keyspace: %w: count record %q", storage.ErrCorrupt, it.Key())
		}
		s := binary.BigEndian.Uint16(it.Key()[1:])
		if s >= slot.Count {
			return 0, fmt.Errorf("keyspace: %w: count record %q", storage.ErrCorrupt, it.Key())
		}
		ks.counts[s].Store(int64(n))
		total += int64(n)
	}
	if err := it.Err(); err != nil {
		return 0, fmt.Errorf("keyspace: %w", err)
	}
	return total, nil
}

// Applied returns the Raft index of the last committed entry. It is stored with
// the data of that entry, so after a crash the two still agree.
func (ks *Keyspace) Applied() uint64 { return ks.latest.Load().applied }

// Clock returns the replicated clock: the largest time of all entries applied,
// in unix ms.
func (ks *Keyspace) Clock() int64 { return ks.latest.Load().clock }

// Len returns the number of stored keys, expired ones that nothing has deleted
// yet included.
func (ks *Keyspace) Len() int64 { return ks.latest.Load().total }

// LenSlot returns the number of stored keys of a slot, counted as Len does.
func (ks *Keyspace) LenSlot(s uint16) int64 { return ks.counts[s].Load() }

// Expired returns how many keys were removed because they had expired, since
// Open.
func (ks *Keyspace) Expired() int64 { return ks.expired.Load() }

// Sync makes everything committed before durable and returns the applied index
// that a crash cannot take back any more.
func (ks *Keyspace) Sync() (applied uint64, err error) {
	applied = ks.Applied()
	return applied, ks.store.Sync()
}

// ErrEmpty is the error of exporting a keyspace in which nothing was committed.
var ErrEmpty = errors.New("keyspace: nothing to export")

// Export returns all records of one committed state, in order, and its applied
// index. An empty store that gets the same records holds the same keyspace. The
// caller releases the iterator, soon: the store keeps what has changed since.
func (ks *Keyspace) Export() (applied uint64, records storage.Iterator, err error) {
	// The state record sorts first.
	key, state, records, ok := storage.Peek(ks.store.Iterate(nil, nil))
	switch {
	case !ok && records.Err() != nil:
		err = fmt.Errorf("keyspace: %w", records.Err())
	case !ok || len(key) != 1 || key[0] != classState:
		err = ErrEmpty
	default:
		applied, _, err = decodeState(state)
	}
	if err != nil {
		records.Release()
		return 0, nil, err
	}
	return applied, records, nil
}

// View begins reading the newest committed state; localNow is the caller's
// clock in unix ms (see View.Behind). The view does not see later commits:
// several reads of one view never see half of a transaction. Close it soon; a
// goroutine that holds a view must not commit.
func (ks *Keyspace) View(localNow int64) *View {
	ks.views.RLock()
	base := ks.latest.Load()
	v := &View{ks: ks, base: base, now: base.clock, localNow: localNow}
	if ks.closed {
		v.err = ErrClosed
	}
	return v
}

// ErrClosed is the error of a view that began after Close.
var ErrClosed = errors.New("keyspace: closed")

// Close returns once all views have ended that have begun; later ones find
// nothing and have ErrClosed. The store may be closed then.
func (ks *Keyspace) Close() {
	ks.views.Lock()
	defer ks.views.Unlock()
	ks.closed = true
}

// Begin begins the write transaction, waiting for the one before it to end. It
// ends with Commit or Discard.
func (ks *Keyspace) Begin() *Tx {
	ks.writer.Lock()
	base := ks.latest.Load()
	return &Tx{View{ks: ks, base: base, now: base.clock, err: ks.failed, own: &writeState{
		index: base.applied, total: base.total, changes: &changeSet{}, undo: ks.undo[:0],
	}}}
}

// Empty returns a view of nothing.
func Empty() *View { return &View{base: &commit{}, closed: true} }

// current returns the key's record in the newest state, as far as the store and
// the cache have it: while a commit is on its way, that may be its state
// already.
func (ks *Keyspace) current(r *ref) (*record, error) {
	rec, hit, generation := ks.cache.get(r.hash, r.key)
	if hit {
		return rec, nil
	}
	at := r.place()
	encoded, err := ks.store.Get(at)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("keyspace: %w", err)
	default:
		if rec, err = decodeRecord(at, encoded); err != nil {
			return nil, err
		}
	}
	ks.cache.fill(r.hash, at, rec, generation)
	return rec, nil
}
