package records

import (
	"bytes"
	"errors"
)

// ErrEnded is the error of committing a transaction that has ended.
var ErrEnded = errors.New("records: transaction has ended")

// Tx is the write transaction. It sees its own changes. An error of the store
// sticks: after one, nothing is found, Err returns it and Commit refuses.
type Tx struct {
	m     *Map
	base  *commit
	world *space // base's, or a new one after Flush
	// outer and inner are the changes in the outer space and in the world.
	outer, inner *changeSet
	err          error
	ended        bool
	// undo is what Undo needs to take back what was done since Save.
	undo  []undone
	saves uint32 // counts Save and Undo
	// before is memory of what undo has of records that were changed in place.
	before []byte
	// spare are records that the transaction has made and replaced: memory for others.
	spare []Record
}

const (
	// maxSpare is how many records Draft has to choose from, largestSpare how large they
	// are at most.
	maxSpare     = 4
	largestSpare = 16 << 10
)

// recycle keeps the memory of records that were replaced since the Save before: nobody
// knows them any more.
func (tx *Tx) recycle() {
	for i := range tx.undo {
		u := &tx.undo[i]
		if !u.copied && len(tx.spare) < maxSpare && cap(u.now) <= largestSpare {
			tx.spare = append(tx.spare, u.now)
		}
	}
}

// Draft is package function Draft; the memory may be that of a record that the
// transaction has replaced.
func (tx *Tx) Draft(key []byte, room int) Record {
	size := recordHeader + len(key) + room
	for i := len(tx.spare) - 1; i >= 0; i-- {
		if memory := tx.spare[i]; cap(memory) >= size && cap(memory) <= size+size/4 {
			tx.spare = append(tx.spare[:i], tx.spare[i+1:]...)
			return draftIn(memory, key)
		}
	}
	if len(tx.spare) == maxSpare {
		tx.spare = tx.spare[1:] // too small or too large for what is made now
	}
	return Draft(key, room)
}

// Begin begins the write transaction, waiting for the one before it to end, and
// for room in memory. It ends with Commit or Discard.
func (m *Map) Begin() *Tx {
	m.awaitRoom()
	m.writer.Lock()
	base := m.latest.Load()
	return &Tx{
		m: m, base: base, world: base.world, err: m.checkpoints.failure(),
		outer: &changeSet{}, inner: newChangeSet(m.lastChanges), undo: m.undo[:0], before: m.before[:0],
	}
}

// Err returns the first error.
func (tx *Tx) Err() error { return tx.err }

// Mark returns that of the state that the transaction began from.
func (tx *Tx) Mark() Mark { return tx.base.mark }

// Discard drops the transaction. After Commit it does nothing.
func (tx *Tx) Discard() {
	if tx.ended {
		return
	}
	tx.ended = true
	tx.m.keepUndo(tx.undo, tx.before)
	tx.m.writer.Unlock()
}

// home returns the space of a key and what the transaction has changed in it.
func (tx *Tx) home(key []byte) (*space, *changeSet) {
	if isOuter(key) {
		return tx.m.outer, tx.outer
	}
	return tx.world, tx.inner
}

// load returns the key's record, nil if it has none, and the index of its change,
// -1 if the transaction has not changed it.
func (tx *Tx) load(hash uint64, key []byte) (rec Record, index int) {
	home, changes := tx.home(key)
	if i := changes.index(hash, key); i >= 0 {
		return changes.list[i].now.known(), i
	}
	if tx.err != nil {
		return nil, -1
	}
	rec, tx.err = home.current(hash, key)
	return rec, -1
}

// Get returns the value of a key, which must not be changed, and whether the key
// is there.
func (tx *Tx) Get(key []byte) (value []byte, ok bool) {
	rec := tx.Find(key)
	if rec == nil {
		return nil, false
	}
	return rec.Value(), true
}

// Find returns the record of a key, nil if the key is not there.
func (tx *Tx) Find(key []byte) Record {
	rec, index := tx.load(tx.m.hash(key), key)
	if index >= 0 {
		_, changes := tx.home(key)
		changes.list[index].own = false
	}
	return rec
}

// Put sets key to value; both are copied.
func (tx *Tx) Put(key, value []byte) { tx.PutRecord(New(key, value)) }

// PutRecord sets the record's key to its value. The record is the map's from then
// on.
func (tx *Tx) PutRecord(rec Record) {
	hash := tx.m.hash(rec.Key())
	old, index := tx.load(hash, rec.Key())
	tx.set(hash, index, old, rec)
}

// Delete removes a key.
func (tx *Tx) Delete(key []byte) {
	hash := tx.m.hash(key)
	if rec, index := tx.load(hash, key); rec != nil {
		tx.set(hash, index, rec, newAbsent(key))
	}
}

// Insert is Put for a key that is certainly absent: nobody is asked.
func (tx *Tx) Insert(key, value []byte) {
	hash := tx.m.hash(key)
	_, changes := tx.home(key)
	tx.set(hash, changes.index(hash, key), nil, New(key, value))
}

// Replace is Put for a key that certainly has the value old: nobody is asked.
func (tx *Tx) Replace(key, old, value []byte) { tx.exchange(key, old, New(key, value)) }

// Erase is Delete for a key that certainly has this value: nobody is asked.
func (tx *Tx) Erase(key, value []byte) { tx.exchange(key, value, newAbsent(key)) }

func (tx *Tx) exchange(key, was []byte, now Record) {
	hash := tx.m.hash(key)
	home, changes := tx.home(key)
	index := changes.index(hash, key)
	var old Record
	if index < 0 {
		if old, _ = home.table.get(hash, key); old == nil {
			old = New(key, was)
		}
	}
	tx.set(hash, index, old, now)
}

// set makes now the record of a key, whose change has the index, or which had the
// record old.
func (tx *Tx) set(hash uint64, index int, old, now Record) {
	if tx.err != nil || tx.ended {
		return
	}
	_, changes := tx.home(now.Key())
	if index < 0 {
		changes.add(change{hash: hash, old: old, now: now, saved: tx.saves})
		return
	}
	c := &changes.list[index]
	if c.saved != tx.saves {
		tx.undo = append(tx.undo, undone{changes: changes, index: index, now: c.now})
		c.saved = tx.saves
	}
	c.now, c.own = now, false
}

// Flush removes every key of the world. It costs the same whatever there is.
func (tx *Tx) Flush() {
	if tx.err != nil || tx.ended {
		return
	}
	tx.world = tx.m.newSpace(tx.base.world.number+1, tx.m.opts.Parts)
	tx.inner = &changeSet{}
}

// Changed reports whether the transaction has changed anything.
func (tx *Tx) Changed() bool {
	return tx.world != tx.base.world || len(tx.inner.list) > 0 || len(tx.outer.list) > 0
}

// Changes calls fn for each key of the world that the transaction has changed, with what
// was committed before, in the world that it is in, and what it is now; nil: nothing. fn
// keeps neither.
func (tx *Tx) Changes(fn func(old, now Record)) {
	for i := range tx.inner.list {
		c := &tx.inner.list[i]
		fn(c.old.known(), c.now.known())
	}
}

// Commit makes the transaction visible to new views. It ends the transaction,
// whatever it returns. It changes nothing but memory; an error comes from the
// store, earlier, and is that of all later transactions too.
func (tx *Tx) Commit(mark Mark) error {
	if tx.ended {
		return ErrEnded
	}
	defer tx.Discard()
	m := tx.m
	if tx.err == nil {
		tx.err = m.checkpoints.failure()
	}
	if tx.err != nil {
		return tx.err
	}
	m.lastChanges = len(tx.inner.list)
	next := &commit{mark: mark, world: tx.world, outer: tx.outer, inner: tx.inner}
	tx.base.next.Store(next)
	m.mu.Lock()
	first := m.outer.enter(tx.outer)
	first = tx.world.enter(tx.inner) || first
	if tx.world != tx.base.world {
		m.leave(tx.base.world)
		first = true
	}
	m.latest.Store(next)
	m.mu.Unlock()
	m.checkpoints.changed(first)
	return nil
}

// enter puts a transaction's changes into the space's table and generation, and
// reports whether they are the generation's first. The caller holds Map.mu.
func (s *space) enter(changes *changeSet) (first bool) {
	if len(changes.list) == 0 {
		return false
	}
	g := s.active.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	first = g.count == 0
	if first {
		g.since = s.m.opts.Sched.Now()
	}
	for i := range changes.list {
		c := &changes.list[i]
		s.table.put(c.hash, c.now, g, c.old == nil)
	}
	return first
}

// Walk returns a walker over the keys in [lower, upper), in order, as they are now.
// The range lies in one class: see the package's comment. The caller releases the
// walker before the transaction changes anything, or ends.
func (tx *Tx) Walk(lower, upper []byte) *Walker {
	w := &Walker{upper: upper}
	if tx.err != nil {
		return w
	}
	home, changes := tx.home(lower)
	w.load = tx.Find
	w.err = &tx.err
	w.begin(home, lower)
	w.lay(changes, lower, func(ch *change) Record {
		ch.own = false
		return ch.now.known()
	})
	w.arrange()
	return w
}

// Save is what Undo goes back to.
type Save struct {
	world              *space
	outer, inner       *changeSet
	outerLen, innerLen int
}

// undone is one step back, of a change that was there at Save.
type undone struct {
	changes *changeSet
	index   int
	now     Record
	copied  bool // now is in Tx.before
}

// keepUndo keeps the memory of a transaction's steps for the next one.
func (m *Map) keepUndo(undo []undone, before []byte) {
	const keep, keepBytes = 256, 32 << 10
	clear(undo[:cap(undo)])
	if m.undo = undo[:0]; cap(undo) > keep {
		m.undo = nil
	}
	if m.before = before[:0]; cap(before) > keepBytes {
		m.before = nil
	}
}

// Save returns the transaction's state as it is now, for Undo. One save is good at
// a time: the next one takes its place. It costs next to nothing. The bytes of records
// that the transaction had made, shown, and replaced by then must not be used any more.
func (tx *Tx) Save() Save {
	tx.recycle()
	tx.undo, tx.before = tx.undo[:0], tx.before[:0]
	tx.saves++
	return Save{tx.world, tx.outer, tx.inner, len(tx.outer.list), len(tx.inner.list)}
}

// Undo takes back everything since the last Save, which returned s.
func (tx *Tx) Undo(s Save) {
	for i := len(tx.undo) - 1; i >= 0; i-- {
		u := &tx.undo[i]
		if u.copied {
			u.now = bytes.Clone(u.now)
		}
		c := &u.changes.list[u.index]
		c.now, c.own = u.now, false
	}
	tx.undo, tx.before = tx.undo[:0], tx.before[:0]
	tx.saves++
	tx.world, tx.outer, tx.inner = s.world, s.outer, s.inner
	tx.outer.cut(s.outerLen)
	tx.inner.cut(s.innerLen)
}
