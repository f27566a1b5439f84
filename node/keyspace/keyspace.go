package keyspace

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/keyspace/tree"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// Options sizes a keyspace.
type Options struct {
	// CacheBytes bounds the memory of resident records that the store has as well.
	// 0: 32 MiB; negative: none.
	CacheBytes int64
	// DirtyBytes bounds the memory of records that are newer than the store.
	// 0: 64 MiB.
	DirtyBytes int64
	// CheckpointInterval is how old a change may become before it goes to the
	// store. 0: a minute.
	CheckpointInterval time.Duration
	// Group is the number of the shard in its cluster. Big values have it in their
	// names: it stays what it is.
	Group uint64
	// Sched is where goroutines and time come from. nil: sched.System.
	Sched sched.Sched
	// Logger is told of what goes wrong, and of waiting. nil: nobody is.
	Logger *slog.Logger
	// Failed is told when a checkpoint has failed in the background: every transaction
	// and Sync from then on has the same error. It must not wait. nil: nobody is told.
	Failed func(error)
	// Written is told how long a checkpoint took. It must not wait. nil: nobody is told.
	Written func(took time.Duration)

	pageSize, inlineLimit, sweepPiece int // of tests; 0: the usual ones
}

// Keyspace is the data of one shard replica. Any number of views may run at the
// same time, next to the one write transaction.
type Keyspace struct {
	recs  *records.Map
	group uint64 // Options.Group
	// What makes a value big, and how big its pages are.
	inlineLimit, pageSize int
	// counts is what is counted of each slot, as of the newest commit.
	counts [slot.Count]atomicCounts
	expiry soonest
	// expired counts the keys that transactions found expired and removed.
	expired atomic.Int64
	sizes   atomic.Pointer[slotBytes] // nil: nobody asks

	undo  []undone    // the writer's, kept for its memory
	spare *pageWriter // the same

	dropped dropped // the writer's: where dropSlot has come to
}

// atomicCounts are slotCounts that are read while they change.
type atomicCounts struct{ keys, expiring atomic.Int64 }

func (c *atomicCounts) get() slotCounts { return slotCounts{c.keys.Load(), c.expiring.Load()} }

func (c *atomicCounts) set(n slotCounts) {
	c.keys.Store(n.keys)
	c.expiring.Store(n.expiring)
}

var (
	// ErrEmpty is the error of exporting a keyspace in which nothing was committed.
	ErrEmpty = records.ErrEmpty
	// ErrClosed is the error of a view that began after Close.
	ErrClosed = records.ErrClosed
	// ErrEnded is the error of committing a transaction that has ended.
	ErrEnded = records.ErrEnded
)

// Open reads the keyspace that store holds. The caller keeps the ownership of
// store, and closes it after Close.
func Open(store storage.Store, opts Options) (*Keyspace, error) {
	ks := &Keyspace{
		group: opts.Group, pageSize: cmp.Or(opts.pageSize, tree.DefaultPageSize),
		inlineLimit: cmp.Or(opts.inlineLimit, inlineLimit),
	}
	var err error
	ks.recs, err = records.Open(store, records.Options{
		Dirty: opts.DirtyBytes, Cache: opts.CacheBytes, Interval: opts.CheckpointInterval,
		Sched: opts.Sched, Logger: opts.Logger, Failed: opts.Failed, Written: opts.Written, SweepPiece: opts.sweepPiece,
		Parts: slot.Count, Part: filterPart, PartRange: filterRange, PartKeys: ks.slotKeys, Check: checkStored,
		Ended: remainsOf, EndedRange: remainsRange,
	})
	if err != nil {
		return nil, err
	}
	ks.expiry.stale = true
	if err := ks.count(); err != nil {
		return nil, err
	}
	return ks, nil
}

// slotKeys returns how many keys a slot has.
func (ks *Keyspace) slotKeys(s uint16) int { return int(ks.counts[s].keys.Load()) }

// count reads the counts, and makes what a store of the former format does not
// have: how many keys of each slot have a time of expiry.
func (ks *Keyspace) count() error {
	tx := ks.recs.Begin()
	defer tx.Discard()
	if err := ks.readCounts(tx); err != nil {
		return err
	}
	if ks.recs.Former() {
		if err := ks.countExpiring(tx); err != nil {
			return err
		}
	}
	encoded, _ := tx.Get(namedKey(movesName))
	if tx.Err() != nil {
		return tx.Err()
	}
	moves, err := decodeMoves(encoded)
	if err != nil {
		return err
	}
	mark := tx.Mark()
	mark.Sums, mark.Note = [3]int64{}, moves
	for s := range ks.counts {
		n := ks.counts[s].get()
		mark.Sums[0] += n.keys
		mark.Sums[1] += n.expiring
		if moves.hides(uint16(s)) {
			mark.Sums[2] += n.keys
		}
	}
	return tx.Commit(mark)
}

func (ks *Keyspace) readCounts(tx *records.Tx) error {
	w := tx.Walk([]byte{classCount}, []byte{classCount + 1})
	defer w.Release()
	for w.Next() {
		n, ok := decodeCounts(w.Value())
		s := slotOfCount(w.Key())
		if !ok || s >= slot.Count {
			return fmt.Errorf("keyspace: %w: count record %q", storage.ErrCorrupt, w.Key())
		}
		ks.counts[s].set(n)
	}
	return tx.Err()
}

// countExpiring walks over the expiry index, once: the counts go to the store with
// the next checkpoint.
func (ks *Keyspace) countExpiring(tx *records.Tx) error {
	expiring := make(map[uint16]int64)
	w := tx.Walk([]byte{classExpiry}, []byte{classExpiry + 1})
	for w.Next() {
		if len(w.Value()) == 0 && len(w.Key()) >= expiryHeader {
			expiring[expirySlot(w.Key())]++
		}
	}
	w.Release()
	if tx.Err() != nil {
		return tx.Err()
	}
	for s := range uint16(slot.Count) {
		n := ks.counts[s].get()
		if n.expiring == expiring[s] {
			continue
		}
		n.expiring = expiring[s]
		ks.counts[s].set(n)
		tx.Put(countKey(s), n.append(nil))
	}
	return tx.Err()
}

func (ks *Keyspace) clearCounts() {
	for s := range ks.counts {
		ks.counts[s].set(slotCounts{})
	}
}

// Applied returns the Raft index of the last committed entry. What a crash leaves
// is the state as of the last checkpoint, all of it: see Sync.
func (ks *Keyspace) Applied() uint64 { return ks.recs.Mark().Applied }

// Clock returns the replicated clock: the largest time of all entries applied,
// in unix ms.
func (ks *Keyspace) Clock() int64 { return ks.recs.Mark().Clock }

// Len returns the number of stored keys, expired ones that nothing has deleted
// yet included.
func (ks *Keyspace) Len() int64 { return ks.recs.Mark().Sums[0] }

// Expiring returns how many stored keys have a time of expiry, counted as Len
// does.
func (ks *Keyspace) Expiring() int64 { return ks.recs.Mark().Sums[1] }

// LenSlot returns the number of stored keys of a slot, counted as Len does.
func (ks *Keyspace) LenSlot(s uint16) int64 { return ks.counts[s].keys.Load() }

// Expired returns how many keys were removed because they had expired, since
// Open.
func (ks *Keyspace) Expired() int64 { return ks.expired.Load() }

// Sync returns once everything up to the applied index given, as far as it is
// committed, can not be lost to a crash any more, and the applied index up to which
// nothing can. It begins a checkpoint only if that is not so yet.
func (ks *Keyspace) Sync(applied uint64) (synced uint64, err error) { return ks.recs.Sync(applied) }

// Start lets checkpoints run in the background, until Close. Without it, Begin makes
// one when as much is dirty as may be.
func (ks *Keyspace) Start() { ks.recs.Start() }

// Stats tells how memory and store stand to each other.
func (ks *Keyspace) Stats() records.Stats { return ks.recs.Stats() }

// Export returns all records of one committed state, in order, and its applied
// index. An empty store that gets the same records holds the same keyspace. The
// caller releases the iterator, soon: the store keeps what has changed since.
func (ks *Keyspace) Export() (applied uint64, exported storage.Iterator, err error) {
	return ks.recs.Export()
}

// View begins reading the newest committed state; localNow is the caller's
// clock in unix ms (see View.Behind). The view does not see later commits: several
// reads of one view never see half of a transaction. Close it soon; a goroutine
// that holds a view must not commit.
func (ks *Keyspace) View(localNow int64) *View {
	v := new(View)
	ks.ViewIn(v, localNow)
	return v
}

// ViewIn is View, in memory of the caller's.
func (ks *Keyspace) ViewIn(v *View, localNow int64) {
	*v = View{ks: ks, localNow: localNow}
	ks.recs.ViewIn(&v.recs)
	v.now, v.arena = v.recs.Mark().Clock, v.first[:0]
}

// Close returns once all views have ended that have begun, and a last checkpoint
// has been made; later views find nothing and have ErrClosed. The store may be
// closed then. No transaction may be under way.
func (ks *Keyspace) Close() error { return ks.recs.Close() }

// Abandon is Close for a store that is not needed any more: without a checkpoint.
func (ks *Keyspace) Abandon() { ks.recs.Abandon() }

// Begin begins the write transaction, waiting for the one before it to end, and for
// room in memory. It ends with Commit or Discard.
func (ks *Keyspace) Begin() *Tx {
	recs := ks.recs.Begin()
	mark := recs.Mark()
	moves, _ := mark.Note.(*moves)
	return &Tx{View{ks: ks, now: mark.Clock, own: &writeState{
		recs: recs, index: mark.Applied, total: slotCounts{mark.Sums[0], mark.Sums[1]}, undo: ks.undo[:0],
		hidden: mark.Sums[2], moves: moves, dropped: ks.dropped,
	}}}
}

// Empty returns a view of nothing.
func Empty() *View { return &View{closed: true} }
