package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// What the leader of a shard does about slots that move, beside package migration, which
// copies and decides. Each of these is an errand: see Replica.due.

// moveSteps adds what there is to do about migrations, and what they have left.
func (r *Replica) moveSteps(view *topology.View, s *topology.Shard, add func(string, uint64, func(context.Context) error)) {
	for _, m := range view.Migrations {
		if !m.Active() {
			break
		}
		if m.From == s.ID {
			add("watch", uint64(m.ID), r.watchStep(view, s, m))
			add("hand back", uint64(m.ID), r.handBackStep(view, m))
		}
	}
	for _, w := range r.machine.Watches() {
		if id := topology.MigrationID(w.Job); !active(view, id) {
			add("unwatch", w.Job, r.unwatchStep(view, id))
		}
	}
	var imported slot.Set
	for _, in := range r.machine.Imports() {
		imported.Union(&in.Slots)
		if id := topology.MigrationID(in.Job); !active(view, id) {
			add("end import", in.Job, r.endImportStep(view, id, in.Slots))
		}
	}
	for _, g := range view.GarbageOf(s.ID) {
		if _, ok := g.Slots.Intersects(&imported); !ok { // the import ends first
			add("drop", g.Epoch, r.dropStep(view, g))
		}
	}
	add("mark", 0, r.markStep(view, s))
}

func active(view *topology.View, id topology.MigrationID) bool {
	m := view.Migration(id)
	return m != nil && m.Active()
}

// watchStep begins the change log of a migration's source. The shard owns the slots by
// then: what is there of them is all there is.
func (r *Replica) watchStep(view *topology.View, s *topology.Shard, m *topology.Migration) func(context.Context) error {
	for _, w := range r.machine.Watches() {
		if w.Job == uint64(m.ID) {
			return nil
		}
	}
	for n := range m.Slots.All {
		if view.Owner[n] != s || r.machine.SlotEpoch(n) < view.SlotEpoch[n] {
			return nil
		}
	}
	return func(ctx context.Context) error {
		// gofail: var watchBegin struct{}
		return r.write(ctx, shard.AppendWatch(nil, uint64(m.ID), m.Slots))
	}
}

// errNotOver is why something that belongs to the end of a migration is not done yet.
var errNotOver = errors.New("the migration may not have ended")

// over returns the view by which a migration has ended. A view that does not know it at
// all may be older than it.
func (r *Replica) over(ctx context.Context, view *topology.View, id topology.MigrationID) (*topology.View, error) {
	if view.Migration(id) == nil {
		if view = r.manager.opts.Topology.View(ctx); !view.Quorum || active(view, id) {
			return nil, errNotOver
		}
	}
	return view, nil
}

// unwatchStep ends the change log of a migration that has ended.
func (r *Replica) unwatchStep(view *topology.View, id topology.MigrationID) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := r.over(ctx, view, id); err != nil {
			return err
		}
		// gofail: var unwatchBegin struct{}
		return r.write(ctx, shard.AppendUnwatch(nil, uint64(id)))
	}
}

// endImportStep forgets the import of a migration that has ended. Slots that it has
// brought and that the view gives to the shard are taken up first: what is left is to
// be dropped.
func (r *Replica) endImportStep(view *topology.View, id topology.MigrationID, slots slot.Set) func(context.Context) error {
	if r.toTakeUp(view, slots) {
		return nil
	}
	return func(ctx context.Context) error {
		view, err := r.over(ctx, view, id)
		if err == nil && r.toTakeUp(view, slots) {
			err = errNotOver
		}
		if err != nil {
			return err
		}
		// gofail: var endImportBegin struct{}
		return r.write(ctx, shard.AppendEndImport(nil, uint64(id)))
	}
}

// toTakeUp reports whether the view gives the shard some of the slots that it has not
// taken up.
func (r *Replica) toTakeUp(view *topology.View, slots slot.Set) bool {
	for n := range slots.All {
		if owner := view.Owner[n]; owner != nil && owner.ID == r.id && r.machine.SlotEpoch(n) < view.SlotEpoch[n] {
			return true
		}
	}
	return false
}

// dropKeys is how many keys an entry drops, so that clients wait for none of them for long.
const dropKeys = 200

// dropStep deletes what the shard has of slots that moved away, or did not come after
// all, and reports it gone. In between it leaves clients as much time as it takes.
func (r *Replica) dropStep(view *topology.View, g *topology.Garbage) func(context.Context) error {
	clock := r.manager.opts.Sched
	return func(ctx context.Context) error {
		payload := shard.AppendDrop(nil, g.Slots, g.Epoch, dropKeys)
		for {
			begun := clock.Now()
			// gofail: var dropBegin struct{}
			dropped, err := r.writeCount(ctx, payload)
			if err != nil {
				return err
			}
			if dropped == 0 {
				break
			}
			if !sched.Sleep(ctx, clock, clock.Now().Sub(begun)) {
				return ctx.Err()
			}
		}
		// gofail: var dropDone struct{}
		return r.manager.opts.Topology.GarbageGone(ctx, view.ClusterID, r.id, g.Slots, g.Epoch)
	}
}

// markStep logs what CLUSTER SETSLOT has said of slots of the shard.
func (r *Replica) markStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	var marks []topology.Mark
	closed := r.machine.Marks()
	for _, m := range view.MarksOf(s.ID) {
		closed.Remove(m.Slot)
		if _, epoch := r.machine.Marked(m.Slot); epoch < m.Epoch {
			marks = append(marks, m)
		}
	}
	if len(marks) == 0 && closed.Empty() {
		return nil
	}
	return func(ctx context.Context) error {
		for _, m := range marks {
			var one slot.Set
			one.Add(m.Slot)
			// gofail: var markBegin struct{}
			if err := r.write(ctx, shard.AppendMark(nil, one, shard.Mark(m.Kind), m.Epoch)); err != nil {
				return err
			}
		}
		if closed.Empty() {
			return nil
		}
		return r.write(ctx, shard.AppendMark(nil, closed, shard.MarkStable, view.LastSlotEpoch))
	}
}

// handing is a hand-over that this replica has sealed slots for as the leader.
type handing struct {
	epoch  uint64
	sealed time.Time
}

// handingOver keeps in mind since when the slots of migrations have been sealed here, and
// tells when they are somebody's again.
func (r *Replica) handingOver(view *topology.View, s *topology.Shard) {
	now := r.manager.opts.Sched.Now()
	for id, h := range r.handings {
		m := view.Migration(id)
		if m != nil && m.State == topology.HandingOver && m.Epoch == h.epoch {
			continue
		}
		delete(r.handings, id)
		if m != nil && m.State == topology.Completed {
			paused := now.Sub(h.sealed)
			r.manager.paused.Store(int64(paused))
			r.manager.opts.Logger.Info("slots were moved away", "migration", id, "from", s.ID, "to", m.To, "paused", paused)
		}
	}
	for _, in := range view.Intents {
		if in.Migration == 0 || r.handings[in.Migration].epoch == in.Epoch || !r.sealed(view, s, in) {
			continue
		}
		if r.handings == nil {
			r.handings = make(map[topology.MigrationID]handing)
		}
		r.handings[in.Migration] = handing{in.Epoch, now}
	}
}

// sealed reports whether the shard has sealed its slots of the intent.
func (r *Replica) sealed(view *topology.View, s *topology.Shard, in *topology.Intent) bool {
	for n := range in.Slots.All {
		if view.Owner[n] != s || r.machine.SlotEpoch(n) < in.Epoch {
			return false
		}
	}
	return true
}

// handBackStep undoes a hand-over for which clients have waited too long: the target may be
// gone.
func (r *Replica) handBackStep(view *topology.View, m *topology.Migration) func(context.Context) error {
	h, ok := r.handings[m.ID]
	if limit := r.manager.opts.PauseLimit(); !ok || r.manager.opts.Sched.Now().Sub(h.sealed) <= limit {
		return nil
	}
	return func(ctx context.Context) error {
		// gofail: var handBackBegin struct{}
		if err := r.manager.opts.Topology.HandBack(ctx, view.ClusterID, m.ID, h.epoch); err != nil {
			return fmt.Errorf("hand back: %w", err)
		}
		return nil
	}
}
