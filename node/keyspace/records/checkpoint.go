package records

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
)

// checkpoints brings what is dirty into the store.
type checkpoints struct {
	m *Map
	// turn is held by whoever changes the store: a checkpoint, a sweep.
	turn *sched.Mutex
	// written is what the store holds, durably. Its holder is turn's.
	written state
	synced  atomic.Uint64 // written.applied
	world   atomic.Uint64 // written.world
	failed  atomic.Pointer[error]

	wake  chan struct{} // something is dirty, or much is
	room  chan struct{} // a checkpoint has ended
	mu    sync.Mutex    // guards what follows
	stop  chan struct{} // closed by Stop; nil: nobody runs in the background
	ended chan struct{}

	last    atomic.Int64 // when the last one ended, unix ns; 0: none since Open
	count   atomic.Int64
	stalls  atomic.Int64
	stalled atomic.Int64 // ns
	waiting atomic.Bool
}

// frozenState is what a checkpoint writes: two generations, and the commit that
// they end with.
type frozenState struct {
	mark         Mark
	world        *space
	outer, inner *generation
}

func (c *checkpoints) init(m *Map, stored state) {
	c.m, c.written = m, stored
	c.turn = sched.NewMutex(m.opts.Sched)
	c.synced.Store(stored.applied)
	c.world.Store(stored.world)
	c.wake, c.room = make(chan struct{}, 1), make(chan struct{}, 1)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// failure returns why nothing can be written any more.
func (c *checkpoints) failure() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *checkpoints) fail(err error) error {
	err = fmt.Errorf("records: checkpoint: %w", err)
	if c.failed.CompareAndSwap(nil, &err) {
		c.m.opts.Logger.Error("the store can take no more checkpoints", "error", err)
	}
	signal(c.room)
	return c.failure()
}

// Sync returns once everything up to the applied index, as far as it is committed,
// can not be lost to a crash any more, and the index up to which nothing can.
func (m *Map) Sync(applied uint64) (synced uint64, err error) {
	c := &m.checkpoints
	for {
		synced = c.synced.Load()
		if synced >= min(applied, m.Mark().Applied) && !m.unwritten(synced) {
			return synced, c.failure()
		}
		if err := m.Checkpoint(); err != nil {
			return 0, err
		}
	}
}

// unwritten reports whether there are changes without an index of their own, as
// before the first entry.
func (m *Map) unwritten(synced uint64) bool {
	return synced == m.Mark().Applied && m.dirty() > 0
}

// Checkpoint writes what was frozen, or freezes what is dirty now and writes that.
// Others wait for their turn.
func (m *Map) Checkpoint() error {
	c := &m.checkpoints
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.failure(); err != nil {
		return err
	}
	m.mu.Lock()
	m.freeze()
	f := m.pending
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	begun := m.opts.Sched.Now()
	filters, err := m.write(f)
	if err != nil {
		return c.fail(err)
	}
	m.settle(f, filters)
	if m.opts.Written != nil {
		m.opts.Written(m.opts.Sched.Now().Sub(begun))
	}
	return nil
}

// freeze leaves what is dirty to a checkpoint, unless something is left to one
// already. The caller holds mu.
func (m *Map) freeze() {
	base := m.latest.Load()
	c := &m.checkpoints
	if m.pending != nil || m.dirty() == 0 && base.mark.Applied == c.synced.Load() && base.world.number == c.world.Load() {
		return
	}
	m.pending = &frozenState{mark: base.mark, world: base.world, outer: m.outer.freeze(), inner: base.world.freeze()}
}

// dirty returns the bytes of what no checkpoint has begun to write.
func (m *Map) dirty() int64 {
	outer, _ := m.outer.bytes()
	inner, _ := m.latest.Load().world.bytes()
	return outer + inner
}

// write puts what was frozen into the store, in the order of stored keys and as one
// transaction, and returns the filters that count from then on.
func (m *Map) write(f *frozenState) (filters map[uint16]*filter, err error) {
	tr, err := m.store.Begin()
	if err != nil {
		return nil, err
	}
	defer tr.Discard()
	next := state{
		format: presentFormat, applied: f.mark.Applied, clock: f.mark.Clock,
		world: f.world.number, filtered: f.world.filtered,
	}
	w := writer{tr: tr, space: f.world, added: make(map[uint16][]uint64), removed: make(map[uint16][][]byte)}
	if m.opts.Ended != nil {
		w.lower, w.upper = m.opts.EndedRange()
	}
	if err := tr.Put(stateKey(), next.encode()); err != nil {
		return nil, err
	}
	if err := f.outer.each(w.outer); err != nil {
		return nil, err
	}
	if err := f.inner.each(w.inner); err != nil {
		return nil, err
	}
	if filters, err = w.filters(); err != nil {
		return nil, err
	}
	if err := tr.Commit(); err != nil {
		return nil, err
	}
	m.checkpoints.written = next
	m.checkpoints.synced.Store(next.applied)
	m.checkpoints.world.Store(next.world)
	if w.ended {
		m.ended.any.Store(true)
	}
	return filters, nil
}

// writer turns records into a transaction.
type writer struct {
	tr    storage.Transaction
	space *space
	added map[uint16][]uint64 // hashes of keys that are put, by part
	// removed are the keys that are deleted, by part.
	removed map[uint16][][]byte

	since int
	key   []byte

	lower, upper []byte // Options.EndedRange
	ended        bool   // a record of that range was written

	grown int64 // by how many bytes the large filters take more
}

// ends reports whether a record ends a range.
func (w *writer) ends(rec Record) bool {
	return w.upper != nil && !rec.absent() && bytes.Compare(rec.Key(), w.lower) >= 0 && bytes.Compare(rec.Key(), w.upper) < 0
}

// yieldEvery is after how many records others get to run.
const yieldEvery = 64

func (w *writer) pause() {
	if w.since++; w.since%yieldEvery == 0 {
		runtime.Gosched()
	}
}

func (w *writer) outer(rec Record, fresh bool) error { return w.put(rec.Key(), rec, fresh) }

func (w *writer) inner(rec Record, fresh bool) error {
	if len(w.space.filters) > 0 && !(rec.absent() && fresh) {
		if part, ok := w.space.m.opts.Part(rec.Key()); ok {
			if rec.absent() {
				w.removed[part] = append(w.removed[part], rec.Key())
			} else {
				w.added[part] = append(w.added[part], filterHash(rec.Key()))
			}
		}
	}
	if w.ends(rec) {
		w.ended = true
	}
	w.key = append(append(w.key[:0], w.space.prefix...), rec.Key()...)
	return w.put(w.key, rec, fresh)
}

func (w *writer) put(key []byte, rec Record, fresh bool) error {
	w.pause()
	switch {
	case !rec.absent():
		return w.tr.Put(key, rec.Value())
	case fresh: // it came and went
		return nil
	default:
		return w.tr.Delete(key)
	}
}

// filters adds the keys that are put to the filters of their parts. A filter most of
// whose keys have gone is made anew.
func (w *writer) filters() (map[uint16]*filter, error) {
	next := make(map[uint16]*filter, len(w.added))
	var encoded []byte
	for _, part := range w.parts() {
		w.pause()
		was, err := w.space.filter(part)
		if err != nil {
			return nil, err
		}
		f := was
		if f.kind == filterUnknown && len(w.added[part]) > 0 || w.stale(f, part) {
			if f, err = w.count(part, w.limit(was)); err != nil {
				return nil, err
			}
		}
		if f = f.with(w.added[part], w.limit(was)); f == was {
			continue
		}
		next[part] = f
		w.grown += f.large() - was.large()
		encoded = f.encode(encoded[:0])
		if err := w.tr.Put(w.space.storedKey(filterKey(part)), encoded); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// limit returns how many bytes a filter may have that takes the place of was.
func (w *writer) limit(was *filter) int {
	left := w.space.m.opts.filterBudget() - w.space.large.Load() - w.grown + was.large()
	return int(min(max(left, freeFilter), maxFilter))
}

// parts returns the parts of which keys are put or deleted, in order.
func (w *writer) parts() []uint16 {
	parts := slices.AppendSeq(make([]uint16, 0, len(w.added)+len(w.removed)), maps.Keys(w.added))
	parts = slices.AppendSeq(parts, maps.Keys(w.removed))
	slices.Sort(parts)
	return slices.Compact(parts)
}

// stale reports whether a filter is worth making anew: it knows more than twice as many
// keys as its part has, or has been given up while the part would have room in one.
func (w *writer) stale(f *filter, part uint16) bool {
	m := w.space.m
	if m.opts.PartKeys == nil || len(w.removed[part]) == 0 || w.space != m.latest.Load().world {
		return false
	}
	keys := m.opts.PartKeys(part)
	switch f.kind {
	case filterKnown:
		return f.keys() > 2*(keys+firstLayer)
	case filterLarge:
		return keys < freeKeys/2
	default:
		return false
	}
}

// count makes the filter of a part of whose keys in the store nothing is known, as they
// are without those that are deleted.
func (w *writer) count(part uint16, limit int) (*filter, error) {
	s := w.space
	gone := make(map[string]bool, len(w.removed[part]))
	for _, key := range w.removed[part] {
		gone[string(key)] = true
	}
	lower, upper := s.m.opts.PartRange(part)
	it := s.m.store.Iterate(s.storedKey(lower), s.storedKey(upper))
	defer it.Release()
	f := &filter{kind: filterKnown}
	var hashes []uint64
	for f.kind == filterKnown && it.Next() {
		w.pause()
		key := it.Key()[len(s.prefix):]
		if p, ok := s.m.opts.Part(key); ok && p == part && !gone[string(key)] {
			hashes = append(hashes, filterHash(key))
		}
		if len(hashes) == yieldEvery {
			f, hashes = f.with(hashes, limit), hashes[:0]
		}
	}
	return f.with(hashes, limit), it.Err()
}

// settle makes clean what a checkpoint has written. The store has it by now, and
// the filters know of it before the table may forget it.
func (m *Map) settle(f *frozenState, filters map[uint16]*filter) {
	m.outer.stored.Store(true)
	f.world.stored.Store(true)
	for part, filter := range filters {
		was := f.world.filters[part].Swap(filter)
		f.world.large.Add(filter.large() - was.large())
	}
	m.outer.clean(f.outer)
	f.world.clean(f.inner)
	m.mu.Lock()
	m.pending = nil
	m.mu.Unlock()
	c := &m.checkpoints
	c.count.Add(1)
	c.last.Store(m.opts.Sched.Now().UnixNano())
	signal(c.room)
}

// clean makes the records of a frozen generation clean, unless they have changed
// since.
func (s *space) clean(g *generation) {
	n := 0
	for _, chunk := range g.chunks {
		for _, rec := range chunk {
			s.table.cleaned(s.m.hash(rec.Key()), rec, g.code)
			if n++; n%yieldEvery == 0 {
				runtime.Gosched()
			}
		}
	}
	s.frozen.Store(nil)
}

// changed looks after a commit whether it is time for a checkpoint, or, if the
// commit was the first since one, to set the clock for the next.
func (c *checkpoints) changed(first bool) {
	m := c.m
	if m.dirty() < m.opts.Dirty/2 {
		if first {
			signal(c.wake)
		}
		return
	}
	m.mu.Lock()
	m.freeze()
	m.mu.Unlock()
	signal(c.wake)
}

// awaitRoom returns when there is room for what another transaction changes.
func (m *Map) awaitRoom() {
	c := &m.checkpoints
	var begun time.Time
	for m.full() && c.failure() == nil {
		stop := c.background()
		if stop == nil {
			_ = m.Checkpoint() // its failure is the transaction's
			continue
		}
		if begun.IsZero() {
			begun = m.opts.Sched.Now()
			c.stalls.Add(1)
			c.waiting.Store(true)
			m.opts.Logger.Warn("changes wait for the disk: as much is dirty as may be", "dirty_bytes", m.Stats().Dirty)
		}
		sched.Wait(m.opts.Sched, time.Time{}, c.room, stop)
	}
	if !begun.IsZero() {
		took := m.opts.Sched.Now().Sub(begun)
		c.stalled.Add(int64(took))
		c.waiting.Store(false)
		m.opts.Logger.Info("changes go on", "waited", took)
	}
}

// full reports whether a checkpoint has to end before more may change.
func (m *Map) full() bool {
	if m.dirty() < m.opts.Dirty/2 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.freeze()
	return m.dirty() >= m.opts.Dirty/2
}

// Start lets checkpoints run in the background, until Stop.
func (m *Map) Start() {
	c := &m.checkpoints
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		return
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	c.stop, c.ended = stop, ended
	m.opts.Sched.Go("checkpoints", func() { c.run(stop, ended) })
}

// Stop returns when nothing runs in the background any more.
func (m *Map) Stop() {
	c := &m.checkpoints
	c.mu.Lock()
	stop, ended := c.stop, c.ended
	c.stop = nil
	c.mu.Unlock()
	if stop != nil {
		close(stop)
		sched.Wait(m.opts.Sched, time.Time{}, ended)
	}
}

// background returns what is closed when checkpoints stop to run in the background,
// nil if they do not.
func (c *checkpoints) background() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop
}

func (c *checkpoints) run(stop, ended chan struct{}) {
	defer close(ended)
	m := c.m
	w := m.opts.Sched.Waiter()
	defer w.Stop()
	for {
		until := m.deadline()
		if m.sweepable() {
			until = m.opts.Sched.Now()
		}
		if w.Wait(until, c.wake, stop) == 1 || c.failure() != nil {
			return
		}
		if err := m.work(); err != nil {
			if m.opts.Failed != nil {
				m.opts.Failed(err)
			}
			return
		}
	}
}

// work does one thing that is due.
func (m *Map) work() error {
	m.mu.Lock()
	pending := m.pending != nil
	m.mu.Unlock()
	due := m.deadline()
	if pending || !due.IsZero() && !due.After(m.opts.Sched.Now()) {
		return m.Checkpoint()
	}
	return m.sweep()
}

// deadline returns when the oldest change is to be in a checkpoint; zero: there is
// none.
func (m *Map) deadline() (at time.Time) {
	for _, s := range []*space{m.outer, m.latest.Load().world} {
		g := s.active.Load()
		g.mu.RLock()
		if since := g.since; g.count > 0 && (at.IsZero() || since.Before(at)) {
			at = since
		}
		g.mu.RUnlock()
	}
	if !at.IsZero() {
		at = at.Add(m.opts.Interval)
	}
	return at
}

// Stats tells how memory and store stand to each other.
type Stats struct {
	// Dirty are the bytes of records that are newer than the store, Clean those of
	// other resident ones.
	Dirty, Clean int64
	// Synced is the applied index of the last checkpoint, Checkpoints how many
	// there were since Open, and Last when the last one ended.
	Synced      uint64
	Checkpoints int64
	Last        time.Time
	// Writing says that one is under way.
	Writing bool
	// Stalls counts how often changes have waited for a checkpoint, and Stalled for
	// how long; Waiting says that they do now.
	Stalls  int64
	Stalled time.Duration
	Waiting bool
}

// Stats returns how memory and store stand to each other.
func (m *Map) Stats() Stats {
	c := &m.checkpoints
	s := Stats{
		Synced: c.synced.Load(), Checkpoints: c.count.Load(),
		Stalls: c.stalls.Load(), Stalled: time.Duration(c.stalled.Load()), Waiting: c.waiting.Load(),
	}
	for _, space := range []*space{m.outer, m.latest.Load().world} {
		active, frozen := space.bytes()
		s.Dirty += active + frozen
		s.Writing = s.Writing || frozen > 0
		s.Clean += space.table.memory()
	}
	if last := c.last.Load(); last != 0 {
		s.Last = time.Unix(0, last)
	}
	return s
}
