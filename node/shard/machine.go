package shard

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// Options tune a Machine.
type Options struct {
	Keyspace keyspace.Options
	// Recovered is told when a handler has panicked: what it did is undone, its
	// command is answered with an error, and the machine goes on. Without it the
	// panic goes on, as it should in tests.
	Recovered func(command string, reason any, stack []byte)
	// Applied is told how long it took to apply entries; nil: nobody is.
	Applied func(took time.Duration)
	// Unreadable is told when a read meets damage in the store. It reports whether
	// another copy of the data takes this one's place: then the read is answered
	// TRYAGAIN, and an error otherwise.
	Unreadable func(err error) (passing bool)
}

// Machine is one replica's state of a shard. Apply is for one goroutine; all
// other methods may be called concurrently with it and each other.
type Machine struct {
	keys      *keyspace.Keyspace
	table     *command.Table
	recovered func(string, any, []byte) // Options.Recovered
	damage    func(error) bool          // Options.Unreadable
	told      func(time.Duration)       // Options.Applied

	slots slotTable // as of the applier's last entry
	marks marks     // the same
	owned ownership // as of the last commit; what readers see

	published atomic.Pointer[marks] // the same

	blocked blocking.Keys // who waits for keys at this node

	// Apply's scratch.
	tx      command.Tx
	words   [][]byte
	scratch command.Args
	held    int // the weight of what the transaction has run

	hits, misses atomic.Int64 // of reads that somebody was answered
	expired      atomic.Int64 // of keys.Expired, what ResetStats has forgotten
	panics       atomic.Int64
}

// Stats counts since Open or the last ResetStats.
type Stats struct {
	// Hits and Misses are the keys that Read commands found, and did not find, on
	// the node that answered them. Expired are the keys that this replica has
	// removed because they had expired.
	Hits, Misses, Expired int64
	// Panics are the commands whose handlers have panicked: mistakes of the
	// program.
	Panics int64
	// Unsynced is how many entries were applied since the last checkpoint.
	Unsynced int64
	// Store tells how the state in memory and the store stand to each other.
	Store records.Stats
}

// Entry is one committed entry of the group's log.
type Entry struct {
	// Entry is its header. Time is the leader's clock when it was proposed.
	command.Entry
	// Commands are the payloads, in order. Apply keeps none of their memory.
	Commands [][]byte
	// Replies, if not nil, is as long as Commands; where an element is not
	// nil, somebody waits for the reply.
	Replies []*resp.Reply
}

// errChanging answers a command on a slot that the shard does not own at the
// command's place in the log. Clients retry TRYAGAIN, and the command was not
// run.
const errChanging = command.ErrChanging

// errPanicked answers a command whose handler has panicked.
const errPanicked = resp.Error("ERR internal error: the command was undone, the node's log has the details")

// slotsName is the named record that holds the slot table.
const slotsName = "slots"

// Open returns the machine whose state store holds; the caller closes store
// after Close or Abandon.
func Open(store storage.Store, table *command.Table, opts Options) (*Machine, error) {
	keys, err := keyspace.Open(store, opts.Keyspace)
	if err != nil {
		return nil, err
	}
	m := &Machine{keys: keys, table: table, recovered: opts.Recovered, damage: opts.Unreadable, told: opts.Applied}
	if err := m.readSlots(); err != nil {
		return nil, fmt.Errorf("shard: reading the slot table: %w", err)
	}
	return m, nil
}

// readSlots reads the slot table and the marks.
func (m *Machine) readSlots() error {
	view := m.keys.View(0)
	defer view.Close()
	stored, err := view.Meta(slotsName)
	if err == nil && stored != nil {
		var slots *slotTable
		if slots, err = decodeSlotTable(stored); err == nil {
			m.slots = *slots
		}
	}
	if err != nil {
		return err
	}
	stored, err = view.Meta(marksName)
	if err == nil && stored != nil {
		m.marks, err = decodeMarks(stored)
	}
	if err != nil {
		return err
	}
	for n, at := range m.marks {
		m.slots[n] = m.slots[n].marked(at.mark)
	}
	m.publish()
	return nil
}

// publish shows readers the slots and marks.
func (m *Machine) publish() {
	now := m.marks
	m.published.Store(&now)
	m.owned.publish(&m.slots)
}

// Applied returns the index of the last applied entry.
func (m *Machine) Applied() uint64 { return m.keys.Applied() }

// Clock returns the replicated clock: the largest time of all applied entries.
func (m *Machine) Clock() int64 { return m.keys.Clock() }

// NextExpiry returns when the key expires that expires first.
func (m *Machine) NextExpiry() (at int64, ok bool) { return m.keys.NextExpiry() }

// Keys returns the number of stored keys, expired ones included until they are
// swept.
func (m *Machine) Keys() int64 { return m.keys.Len() }

// Expiring returns how many of the keys have a time of expiry.
func (m *Machine) Expiring() int64 { return m.keys.Expiring() }

// SlotKeys is Keys for a slot, SlotBytes about how many bytes they take: see
// keyspace.Keyspace.SlotBytes. ForgetSlotBytes ends the counting of those.
func (m *Machine) SlotKeys(s uint16) int64 { return m.keys.LenSlot(s) }

// SlotBytes is described at SlotKeys.
func (m *Machine) SlotBytes(s uint16) (int64, error) { return m.keys.SlotBytes(s) }

// ForgetSlotBytes is described at SlotKeys.
func (m *Machine) ForgetSlotBytes() { m.keys.ForgetSlotBytes() }

// Stats returns the counters that INFO shows.
func (m *Machine) Stats() Stats {
	// In this order, as a checkpoint does not get ahead of what is applied.
	store, applied := m.keys.Stats(), m.Applied()
	return Stats{
		Hits: m.hits.Load(), Misses: m.misses.Load(),
		Expired:  m.keys.Expired() - m.expired.Load(),
		Panics:   m.panics.Load(),
		Unsynced: int64(applied - store.Synced),
		Store:    store,
	}
}

// ResetStats sets the counters to zero.
func (m *Machine) ResetStats() {
	m.hits.Store(0)
	m.misses.Store(0)
	m.panics.Store(0)
	m.expired.Store(m.keys.Expired())
}

// Sync returns once everything up to the index given, as far as it is applied, is
// durable, and the index that no crash can take back.
func (m *Machine) Sync(applied uint64) (synced uint64, err error) { return m.keys.Sync(applied) }

// Start lets checkpoints run in the background, until Close or Abandon.
func (m *Machine) Start() { m.keys.Start() }

// Export returns all records of the present state, in order, and its applied
// index: see keyspace.Keyspace.Export. Open finds the same state in a store that
// holds the same records.
func (m *Machine) Export() (applied uint64, records storage.Iterator, err error) {
	return m.keys.Export()
}

// Close waits for reads that are under way, and makes everything applied durable;
// later reads are answered TRYAGAIN. The caller stops applying before, and may close
// the store after.
func (m *Machine) Close() error {
	err := m.keys.Close()
	m.blocked.Close()
	return err
}

// Abandon is Close for a state that is not needed any more: nothing is made durable.
func (m *Machine) Abandon() {
	m.keys.Abandon()
	m.blocked.Close()
}

// Blocked returns the keys that clients are blocked on at this node. Apply wakes them.
func (m *Machine) Blocked() *blocking.Keys { return &m.blocked }

// Owns reports whether the shard owns the slot, as of the last applied entry.
func (m *Machine) Owns(s uint16) bool { return m.owned.at(s).owned() }

// SlotEpoch returns the epoch of the slot's last change of hands that this
// replica has applied.
func (m *Machine) SlotEpoch(s uint16) uint64 { return m.owned.at(s).epoch() }

// Residue returns the slots that the shard does not own but holds keys of, without those
// that are hidden: under import, or being dropped.
func (m *Machine) Residue() slot.Set {
	var residue slot.Set
	for n := uint16(0); n < slot.Count; n++ {
		if m.keys.LenSlot(n) > 0 && !m.Owns(n) {
			residue.Add(n)
		}
	}
	if !residue.Empty() {
		view := m.keys.View(0)
		defer view.Close()
		hidden := view.Hidden()
		residue.Subtract(&hidden)
	}
	return residue
}

// Apply runs committed entries, in order and each exactly once, and commits
// them together, or some after others where together they would hold too much; the
// replies are in place when it returns. An error means that the replica can go on no
// more: the node stops.
func (m *Machine) Apply(entries []Entry) error {
	if m.told != nil {
		begun := time.Now()
		defer func() { m.told(time.Since(begun)) }()
	}
	for len(entries) > 0 {
		n, err := m.applyTogether(entries)
		if err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// applyTogether runs as many of the entries as may be committed together, at least one,
// and returns how many.
//
// Readers see a seal before, and an own after, the data that was committed with
// it, so one that finds a slot owned before and after its look at the data, and
// in the same epoch, has seen no data of a time when it was not. The mark of a slot that
// migrates they see before, too: what they miss of its keys may be elsewhere.
func (m *Machine) applyTogether(entries []Entry) (n int, err error) {
	tx := &m.tx
	*tx = command.Tx{Tx: m.keys.Begin(), Owner: owner{&m.slots}}
	defer func() {
		tx.Discard()
		*tx, m.scratch = command.Tx{}, command.Args{} // an idle group keeps nothing of them
	}()
	if m.blocked.Begin() {
		tx.OnPut(m.blocked.Put)
		tx.OnStreamGone(m.blocked.StreamGone)
	}
	changed := false
	m.held = 0
	for ; n < len(entries) && m.held < maxHeld; n++ {
		e := &entries[n]
		if e.Level > command.Level {
			return 0, fmt.Errorf("shard: entry %d is of level %d, this program knows %d", e.Index, e.Level, command.Level)
		}
		tx.StartEntry(e.Entry)
		for j, payload := range e.Commands {
			var reply *resp.Reply
			if e.Replies != nil {
				reply = e.Replies[j]
			}
			slotsChanged, err := m.applyOne(tx, payload, reply)
			if err == nil {
				err = tx.Err()
			}
			if err != nil {
				return 0, fmt.Errorf("shard: entry %d, command %d: %w", e.Index, j, err)
			}
			changed = changed || slotsChanged
		}
	}
	if changed {
		tx.PutMeta(slotsName, m.slots.encode())
		if len(m.marks) > 0 {
			tx.PutMeta(marksName, m.marks.encode())
		}
		m.owned.publishSeals(&m.slots)
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("shard: %w", err)
	}
	if changed {
		m.publish()
	}
	m.blocked.Commit()
	return n, nil
}

// applyOne runs one payload; reply is nil if nobody waits for it. An error is one of
// the store, or of a payload that this version does not know.
func (m *Machine) applyOne(tx *command.Tx, payload []byte, reply *resp.Reply) (slotsChanged bool, err error) {
	reply.Begin()
	rest, asking := command.CutAsking(payload)
	if command.IsTransaction(rest) {
		return false, m.exec(tx, rest, asking, reply)
	}
	p, err := m.decode(m.words[:0], payload)
	m.words = p.scratch
	switch {
	case endsNode(err):
		return false, err
	case err != nil:
		reply.Fail(err)
	case p.record != nil:
		return m.applyRecord(tx, p.record, reply), nil
	default:
		if err := m.mayRun(tx, &p); err != nil {
			reply.Fail(err)
			break
		}
		m.held += weight(p.cmd, p.args)
		m.run(tx, &p, reply)
	}
	return false, nil
}

// run runs a command as one step: all of it, or nothing and an error.
func (m *Machine) run(tx *command.Tx, p *parsed, reply *resp.Reply) {
	save := tx.Save()
	defer func() {
		if m.recovered == nil {
			return
		}
		if reason := recover(); reason != nil {
			tx.Undo(save)
			reply.Fail(m.panicked(p.cmd, reason))
		}
	}()
	hits, misses := tx.Lookups()
	m.scratch.Set(p.cmd, p.args)
	begun := reply.StartLap()
	tx.Run(&m.scratch, reply)
	reply.EndLap(begun)
	if tx.TooLarge() { // which may be because of the key: Redis's error knows the value alone
		tx.Undo(save)
		reply.Fail(command.ErrTooLong)
	}
	if tx.Refused() { // FLUSHALL
		tx.Undo(save)
		reply.Fail(errChanging)
	}
	if reply != nil && !p.cmd.WritesWith(p.args) {
		m.count(&tx.View, hits, misses)
	}
}

// panicked counts and tells what became of a handler, and returns what clients are
// told.
func (m *Machine) panicked(cmd *command.Command, reason any) error {
	m.panics.Add(1)
	m.recovered(cmd.FullName(), reason, debug.Stack())
	return errPanicked
}

// count adds the lookups of a read to the counters; before it, v had made those
// given.
func (m *Machine) count(v *keyspace.View, hitsBefore, missesBefore int64) {
	hits, misses := v.Lookups()
	if hits != hitsBefore {
		m.hits.Add(hits - hitsBefore)
	}
	if misses != missesBefore {
		m.misses.Add(misses - missesBefore)
	}
}

// Read evaluates a Read command against applied state and writes the reply to r. If v
// has no state yet, Read takes the newest, and leaves it there for the next read: the
// caller ends it. behind is true if the reply depends on a key that
// has expired by v.LocalNow but not by the replicated clock: then the caller has the
// clock advanced (command.AppendTick) and reads again. A store that cannot be read
// makes an error reply.
func (m *Machine) Read(args *command.Args, v *command.View, r *resp.Reply) (behind bool) {
	s, keyed, cross := args.Slot()
	if cross {
		r.Begin()
		r.Fail(errChanging)
		return false
	}
	var one [1]slotAt
	slots := one[:0]
	if keyed {
		slots = append(slots, slotAt{slot: s})
	}
	return m.answer(slots, v, r, func() {
		if keyed && !slots[0].state.plain() {
			j := judgement{view: v.View, asking: v.Asking, slots: slots}
			if j.add(args.Command(), args.All()); j.verdict() != nil {
				r.Begin()
				r.Fail(j.verdict())
				return
			}
		}
		before := watchedBefore(v)
		m.evaluate(args, v, r)
		noteEpochs(v, before, slots)
	})
}

// watchedBefore returns how many keys WATCH has seen.
func watchedBefore(v *command.View) int {
	if v.Watches == nil {
		return 0
	}
	return len(*v.Watches)
}

// noteEpochs fills in the epochs of what WATCH has seen since there was as much as before.
func noteEpochs(v *command.View, before int, slots []slotAt) {
	if v.Watches == nil {
		return
	}
	for i := before; i < len(*v.Watches); i++ {
		w := &(*v.Watches)[i]
		w.Epoch = at(slots, slot.Of(w.Key)).epoch()
	}
}

// answer has evaluate write a reply from the view's state, which judges by what is
// remembered of the slots given. It counts if none of them has changed hands meanwhile.
func (m *Machine) answer(slots []slotAt, v *command.View, r *resp.Reply, evaluate func()) (behind bool) {
	m.Look(v)
	for m.owned.remember(slots); len(slots) > 0 && m.owned.changes.Load() != v.Slots; m.owned.remember(slots) {
		// The state may be older than the change, which may be the slot's return.
		v.End()
		m.look(v)
	}
	hits, misses := v.Lookups()
	v.AskedOwner = false
	evaluate()
	switch err := v.Err(); {
	case errors.Is(err, keyspace.ErrClosed): // another machine has taken its place
		r.Fail(errChanging)
	case m.damage != nil && errors.Is(err, storage.ErrCorrupt) && m.damage(err):
		r.Fail(errChanging)
	case err != nil:
		r.Fail(err)
	case !m.owned.unchanged(slots), v.AskedOwner && m.owned.changes.Load() != v.Slots:
		r.Fail(errChanging)
	case v.Behind():
		v.End()
		return true
	default:
		if !v.Tries { // Redis counts reads alone
			m.count(v.View, hits, misses)
		}
		v.Restart()
		return false
	}
	v.End()
	return false
}

// Look takes the newest state for v, if it has none.
func (m *Machine) Look(v *command.View) {
	if v.View == nil {
		m.look(v)
	}
}

// look takes the newest state. The note of the slots is older than it: see Read.
func (m *Machine) look(v *command.View) {
	v.Slots, v.Owner = m.owned.changes.Load(), m
	v.Take(m.keys)
}

// evaluate runs a read.
func (m *Machine) evaluate(args *command.Args, v *command.View, r *resp.Reply) {
	defer func() {
		if m.recovered == nil {
			return
		}
		if reason := recover(); reason != nil {
			r.Fail(m.panicked(args.Command(), reason))
		}
	}()
	begun := r.StartLap()
	v.Run(args, r)
	r.EndLap(begun)
}
