package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
)

// Options tunes a Map.
type Options struct {
	// Dirty bounds the bytes of records that are newer than the store. At half of
	// it a checkpoint begins; when all is used up, Begin waits. 0: 64 MiB.
	Dirty int64
	// Cache bounds the bytes of other resident records. 0: 32 MiB; negative: none.
	Cache int64
	// Interval is how old a change may become before a checkpoint begins.
	// 0: a minute.
	Interval time.Duration
	// Sched is where goroutines and time come from. nil: sched.System.
	Sched sched.Sched
	// Parts is the number of parts that have a filter each, of the keys of a world
	// that Part assigns to one; all of them are in the range PartRange. 0: none.
	Parts     int
	Part      func(key []byte) (part uint16, ok bool)
	PartRange func(part uint16) (lower, upper []byte)
	// PartKeys returns about how many keys a part has in the newest state. nil: nobody
	// knows, and filters only grow.
	PartKeys func(part uint16) int
	// Check, if not nil, says what is wrong with a record that was read from the
	// store. It is asked before anybody else sees the record.
	Check func(key, value []byte) error
	// Logger is told of what goes wrong and of waiting. nil: nobody is.
	Logger *slog.Logger
	// Failed is told when a checkpoint or a sweep has failed in the background: every
	// transaction and Sync from then on has the same error. It must not wait. nil:
	// nobody is told.
	Failed func(error)
	// Written is told how long a checkpoint took. It must not wait. nil: nobody is told.
	Written func(took time.Duration)
	// SweepPiece bounds the records that one transaction of a sweep removes.
	// 0: 16384.
	SweepPiece int
	// Ended returns, for a key within EndedRange, a range of keys that its record
	// has ended: from then on nothing puts or looks for them, but views that are
	// older. A sweep removes them, and then the record. nil: there are no such keys.
	Ended      func(key []byte) (lower, upper []byte)
	EndedRange func() (lower, upper []byte)
}

// filterBudget bounds the bytes of all filters of a world that are large.
func (o Options) filterBudget() int64 { return max(o.Cache, 0) / 8 }

func (o Options) withDefaults() Options {
	if o.Dirty <= 0 {
		o.Dirty = 64 << 20
	}
	if o.Cache == 0 {
		o.Cache = 32 << 20
	}
	if o.Interval <= 0 {
		o.Interval = time.Minute
	}
	if o.SweepPiece <= 0 {
		o.SweepPiece = 16 << 10
	}
	if o.Sched == nil {
		o.Sched = sched.System
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Mark goes with each commit. Applied and Clock are stored with its records, Sums
// and Note are not.
type Mark struct {
	Applied uint64
	Clock   int64
	Sums    [3]int64
	// Note is whatever else the owner has views find of the commit; it does not
	// change.
	Note any
}

// Map is a map of keys to immutable bytes: see the package's comment.
type Map struct {
	store storage.Store
	opts  Options
	seed  maphash.Seed
	outer *space
	// latest is the newest commit that is visible. Storing it is the moment at
	// which a transaction becomes so.
	latest atomic.Pointer[commit]
	former bool

	writer sync.Mutex // held by the write transaction
	// lastChanges is how many changes the last transaction made; writer guards it.
	lastChanges int
	undo        []undone // the writer's, kept for its memory
	before      []byte   // the same

	views  sync.RWMutex // held for reading by every view, and for writing by Close
	closed bool         // guarded by views

	// mu is held while a commit enters its changes, and while a generation is
	// frozen: so what is frozen is the state as of one commit.
	mu      sync.Mutex
	pending *frozenState // what the next checkpoint writes; nil: nothing is frozen
	remains []remain     // what is to be swept
	ended   ended

	checkpoints checkpoints
}

// commit is a state of the map: what views begin from, and what lets a view that
// began from an earlier one go on reading that.
type commit struct {
	mark  Mark
	world *space
	// outer and inner are the changes in the outer space and in the world.
	outer, inner *changeSet
	// next is the commit after this one. It is set before that commit enters
	// anything a view could meet.
	next atomic.Pointer[commit]
}

var (
	// ErrClosed is the error of a view that began after Close.
	ErrClosed = errors.New("records: closed")
	// ErrEmpty is the error of exporting a map in which nothing was committed.
	ErrEmpty = errors.New("records: nothing to export")
)

// Open reads what store holds, whatever its size, in a few steps. The caller keeps
// the ownership of store, and closes it after Close.
func Open(store storage.Store, opts Options) (*Map, error) {
	m := &Map{store: store, opts: opts.withDefaults(), seed: maphash.MakeSeed()}
	stored, err := readState(store)
	if err != nil {
		return nil, err
	}
	m.former = stored.format == formerFormat
	m.outer = m.newSpace(0, 0)
	world := m.newSpace(stored.world, m.opts.Parts)
	if stored.format != 0 {
		m.outer.stored.Store(true)
		world.stored.Store(true)
		world.filtered = stored.filtered
		m.remains = remainsBefore(stored.world)
		m.ended.any.Store(m.opts.Ended != nil)
	}
	m.latest.Store(&commit{mark: Mark{Applied: stored.applied, Clock: stored.clock}, world: world})
	m.checkpoints.init(m, stored)
	return m, nil
}

// Former reports whether the store is of the former format, in which nothing is
// known of what the records' owner has begun to store since.
func (m *Map) Former() bool { return m.former }

// Mark returns that of the newest commit.
func (m *Map) Mark() Mark { return m.latest.Load().mark }

func (m *Map) check(rec Record) error {
	if m.opts.Check == nil {
		return nil
	}
	return m.opts.Check(rec.Key(), rec.Value())
}

func (m *Map) hash(key []byte) uint64 { return maphash.Bytes(m.seed, key) }

// Close ends the map: it returns once all views have ended that have begun, and
// what was committed is in the store, or why it could not be brought there. Later
// views find nothing and have ErrClosed. No transaction may be under way.
func (m *Map) Close() error {
	m.Stop()
	m.views.Lock()
	m.closed = true
	m.views.Unlock()
	_, err := m.Sync(m.Mark().Applied)
	return err
}

// Abandon is Close for a store that is not needed any more.
func (m *Map) Abandon() {
	m.Stop()
	m.views.Lock()
	defer m.views.Unlock()
	m.closed = true
}

// state is what the state record says: format (1 byte), applied index (8), clock
// (8), and from format 2 on the world's number (8) and flags (1).
type state struct {
	format   byte // 0: there is no record
	applied  uint64
	clock    int64
	world    uint64
	filtered bool
}

const (
	formerFormat  = 1
	presentFormat = 2

	stateFiltered = 1
)

// stateKey is the one key of the outer space that is this package's own.
func stateKey() []byte { return []byte{0} }

func readState(store storage.Store) (state, error) {
	encoded, err := store.Get(stateKey())
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return state{filtered: true}, nil
	case err != nil:
		return state{}, fmt.Errorf("records: %w", err)
	}
	return decodeState(encoded)
}

func decodeState(b []byte) (s state, err error) {
	if len(b) > 0 && b[0] > presentFormat {
		return s, fmt.Errorf("%w: keyspace format %d, this program reads up to %d", storage.ErrNewerFormat, b[0], presentFormat)
	}
	switch {
	case len(b) == 17 && b[0] == formerFormat:
	case len(b) == 26 && b[0] == presentFormat && b[25] <= stateFiltered:
		s.world = binary.BigEndian.Uint64(b[17:])
		s.filtered = b[25]&stateFiltered != 0
	default:
		return s, fmt.Errorf("records: %w: state record", storage.ErrCorrupt)
	}
	s.format = b[0]
	s.applied = binary.BigEndian.Uint64(b[1:])
	s.clock = int64(binary.BigEndian.Uint64(b[9:]))
	return s, nil
}

func (s state) encode() []byte {
	b := append(make([]byte, 0, 26), s.format)
	b = binary.BigEndian.AppendUint64(b, s.applied)
	b = binary.BigEndian.AppendUint64(b, uint64(s.clock))
	if s.format == formerFormat {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, s.world)
	var flags byte
	if s.filtered {
		flags |= stateFiltered
	}
	return append(b, flags)
}
