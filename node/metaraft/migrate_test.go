package metaraft

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// owners boots a cluster in which the first nodes own ten slots each, and none becomes a
// replica for having given them away.
func (w *world) owners(n, owning int) []*simNode {
	w.t.Helper()
	nodes := w.bootMany(n)
	for _, node := range nodes {
		node.kill()
		node.tweak = func(o *Options) { o.MastersStay = func() bool { return true } }
		node.start()
	}
	for _, node := range nodes[1:] {
		w.must(node.meet(nodes[0]))
	}
	w.mustBeTogether(nodes)
	for i := range owning {
		w.must(nodes[i].running().AddSlots(w.t.Context(), slotRange(uint16(10*i), uint16(10*i+9))))
	}
	return nodes
}

// migrated hands a migration over and completes it, as the target's leader does.
func (w *world) migrated(by *simNode, id topology.MigrationID) {
	w.t.Helper()
	node, cluster := by.running(), by.Identity().Cluster
	epoch, err := node.HandOver(w.t.Context(), cluster, id)
	w.must(err)
	w.must(node.CompleteMigration(w.t.Context(), cluster, id, epoch, 7))
}

func TestMigration(t *testing.T) {
	w := newWorld(t, 20)
	nodes := w.owners(3, 1)
	ctx, cluster := t.Context(), nodes[0].Identity().Cluster
	source, target, other := nodes[0].running(), nodes[1].running(), nodes[2].running()
	w.loseSome(10)
	ids, err := target.StartMigration(ctx, topology.Import, MigrationRequest{Slots: slotRange(0, 4)})
	w.must(err)
	id := ids[0]
	if m := other.View(ctx).Migration(id); m == nil || m.State != topology.Copying || m.Source != nodes[0].Identity().Node || m.Dest != nodes[1].Identity().Node || m.Created == 0 {
		t.Fatalf("it is %+v on another node", m)
	}
	_, err = target.StartMigration(ctx, topology.Import, MigrationRequest{Slots: slotRange(5, 5)})
	wantError(t, err, "ERR another ASM task is already in progress")
	_, err = other.StartMigration(ctx, topology.Export, MigrationRequest{Slots: slotRange(5, 5), Target: nodes[1].Identity().Node})
	wantError(t, err, "ERR Slots are not served by this node.")

	epoch, err := target.HandOver(ctx, cluster, id)
	w.must(err)
	if again, err := target.HandOver(ctx, cluster, id); err != nil || again != epoch {
		t.Errorf("handed over by %d, %v, then by %d", epoch, err, again)
	}
	w.must(source.HandBack(ctx, cluster, id, epoch))
	if err := target.CompleteMigration(ctx, cluster, id, epoch, 7); err == nil {
		t.Error("completed after it was handed back")
	}
	w.migrated(nodes[1], id)
	for _, n := range nodes {
		v := n.view()
		m := v.Migration(id)
		if v.Owner[4] != v.Node(nodes[1].Identity().Node).Shard || v.SlotEpoch[4] != m.Epoch || m.State != topology.Completed || m.Retries != 1 || m.Paused != 7 || len(v.Intents) != 0 {
			t.Errorf("at the end: %+v", m)
		}
	}
	w.eventually("the source has tidied up", func() bool { return len(nodes[2].view().Garbage) == 0 })
	w.must(target.FailMigration(ctx, cluster, id, "too late"))
	if m := other.View(ctx).Migration(id); m.State != topology.Completed {
		t.Errorf("after it had ended it became %s", m.State)
	}
}

// TestEndMigrations: a node ends those in which it has that part.
func TestEndMigrations(t *testing.T) {
	w := newWorld(t, 21)
	nodes := w.owners(3, 2)
	ctx := t.Context()
	a, b, c := nodes[0].running(), nodes[1].running(), nodes[2].running()
	ids, err := a.StartMigration(ctx, topology.Export,
		MigrationRequest{Slots: slotRange(0, 4), Target: nodes[1].Identity().Node}, MigrationRequest{Slots: slotRange(5, 5), Target: nodes[2].Identity().Node})
	w.must(err)
	more, err := b.StartMigration(ctx, topology.Export, MigrationRequest{Slots: slotRange(10, 10), Target: nodes[2].Identity().Node})
	w.must(err)
	end := func(n *Node, id topology.MigrationID, part topology.Face, want int) {
		t.Helper()
		if ended, err := n.EndMigration(ctx, id, part, topology.Canceled, "asked for"); err != nil || ended != want {
			t.Errorf("%d ended, %v; want %d", ended, err, want)
		}
	}
	end(c, ids[0], "", 0)              // it has no part in it
	end(b, ids[0], topology.Export, 0) // it is its destination
	end(b, 0, topology.Export, 1)      // its own
	end(c, more[0], "", 0)             // that has ended
	end(c, 0, topology.Import, 1)      // what comes to it
	end(b, ids[0], topology.Import, 1) // the first one
	end(a, 0, "", 0)                   // nothing is left
	w.eventually("the targets have tidied up", func() bool { return len(nodes[0].view().Garbage) == 0 })
}

// TestSlotsWaitUntilTidy: what gives slots to a node waits until it has deleted what it
// had of them.
func TestSlotsWaitUntilTidy(t *testing.T) {
	w := newWorld(t, 22)
	nodes := w.owners(2, 1)
	a, b := nodes[0], nodes[1]
	a.set(func(n *simNode) { n.messy = true })
	ids, err := b.running().StartMigration(t.Context(), topology.Import, MigrationRequest{Slots: slotRange(0, 4)})
	w.must(err)
	w.migrated(b, ids[0])

	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = a.running().StartMigration(short, topology.Import, MigrationRequest{Slots: slotRange(4, 4)})
	wantError(t, err, fmt.Sprintf("ERR what node %s had of slot 4 is still being deleted, try again", a.Identity().Node))
	w.must(b.running().DelSlots(t.Context(), slotRange(0, 0)))

	var wg sync.WaitGroup
	waits := func(what string, fn func(context.Context) error) {
		wg.Go(func() {
			if err := fn(t.Context()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	waits("ADDSLOTS", func(ctx context.Context) error { return a.running().AddSlots(ctx, slotRange(0, 0)) })
	waits("SETSLOT IMPORTING", func(ctx context.Context) error {
		_, err := a.running().SetSlot(ctx, 1, SetImporting, b.Identity().Node)
		return err
	})
	waits("SETSLOT NODE", func(ctx context.Context) error {
		_, err := b.running().SetSlot(ctx, 2, SetNode, a.Identity().Node)
		return err
	})
	time.AfterFunc(20*time.Millisecond, func() { a.set(func(n *simNode) { n.messy = false }) })
	wg.Wait()
	if v := b.view(); v.Owner[0] != v.Owner[9] || v.Owner[2] != v.Owner[9] || len(v.Marks) != 1 {
		t.Errorf("owners %v and %v, marks %v", v.Owner[0], v.Owner[2], v.Marks)
	}
}

// TestSetSlot: SETSLOT NODE answers when the owner has sealed the slot, to all who ask for
// it at the same time; it does not go with keys, nor where the owner does not answer.
func TestSetSlot(t *testing.T) {
	w := newWorld(t, 23)
	nodes := w.owners(3, 1)
	ctx := t.Context()
	from, to := nodes[0], nodes[1]
	set := func(n *simNode, number uint16, action SlotAction, peer *simNode) (uint64, error) {
		var id topology.NodeID
		if peer != nil {
			id = peer.Identity().Node
		}
		return n.running().SetSlot(ctx, number, action, id)
	}
	importing, err := set(to, 3, SetImporting, from)
	w.must(err)
	migrating, err := set(from, 3, SetMigrating, to)
	w.must(err)
	v := nodes[2].view()
	group := v.Node(to.Identity().Node).Shard.ID
	if marks := v.MarksOf(group); len(marks) != 1 || marks[0].Epoch != importing || marks[0].Peer != from.Identity().Node || migrating <= importing {
		t.Errorf("marks %+v", marks)
	}
	if again, err := set(from, 3, SetMigrating, to); err != nil || again != migrating {
		t.Errorf("the mark of %d is of %d, %v, when set again", migrating, again, err)
	}

	from.set(func(n *simNode) { n.late = slotRange(3, 3) })
	_, err = set(to, 3, SetNode, to)
	wantError(t, err, "ERR Can't assign hashslot 3 to a different node while I still hold keys for this hash slot.")
	from.set(func(n *simNode) { n.late, n.mute = slot.Set{}, true })
	short, cancel := context.WithTimeout(ctx, time.Second) // deadline: the owner is mute, so nothing comes before it
	defer cancel()
	_, err = to.running().SetSlot(short, 3, SetNode, to.Identity().Node)
	wantError(t, err, "ERR the slots' owner did not answer; nothing was changed")
	if v := nodes[2].view(); v.Owner[3] != v.Owner[9] || len(v.Marks) != 2 || len(v.Intents) != 0 {
		t.Errorf("after the refusals: owner %v, marks %v, intents %v", v.Owner[3], v.Marks, v.Intents)
	}

	from.set(func(n *simNode) { n.mute = false })
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			if _, err := set(n, 3, SetNode, to); err != nil {
				t.Errorf("SETSLOT NODE: %v", err)
			}
		})
	}
	wg.Wait()
	if v := nodes[2].view(); v.Owner[3] != v.Shard(group) || len(v.Marks) != 0 {
		t.Errorf("owner %v, marks %v", v.Owner[3], v.Marks)
	}
	if closed, err := set(from, 3, SetStable, nil); err != nil || closed != 0 {
		t.Errorf("SETSLOT STABLE of a stable slot: %d, %v", closed, err)
	}
}

// TestSetSlotOfNobody: a slot without an owner is given at once, and who takes it for
// itself answers when it has taken it up. No mark has changed by that.
func TestSetSlotOfNobody(t *testing.T) {
	w := newWorld(t, 26)
	nodes := w.owners(2, 1)
	self := nodes[1].Identity().Node
	if epoch, err := nodes[1].running().SetSlot(t.Context(), 20, SetNode, self); err != nil || epoch != 0 {
		t.Errorf("SETSLOT NODE: %d, %v", epoch, err)
	}
	if v := nodes[0].view(); v.Owner[20] != v.Node(self).Shard {
		t.Errorf("the slot belongs to %v", v.Owner[20])
	}
	nodes[1].set(func(n *simNode) { n.idle = true })
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := nodes[1].running().SetSlot(short, 21, SetNode, self); err == nil || !strings.HasPrefix(err.Error(), "UNCERTAIN the slot is assigned to this node") {
		t.Errorf("SETSLOT NODE where the shard does not take up slots: %v", err)
	}
}

// TestLastSlotMakesReplica: a master follows whom it gave its last slot.
func TestLastSlotMakesReplica(t *testing.T) {
	w := newWorld(t, 24)
	nodes := w.bootCluster(3)
	w.must(nodes[0].running().AddSlots(t.Context(), slotRange(0, 0)))
	_, err := nodes[2].running().SetSlot(t.Context(), 0, SetNode, nodes[1].Identity().Node)
	w.must(err)
	for _, n := range nodes {
		if v := n.view(); !v.Node(nodes[0].Identity().Node).Replica() || v.Owner[0].Master != nodes[1].Identity().Node || len(v.Shards) != 1 {
			t.Errorf("%d shards, slot 0 is owned by %s", len(v.Shards), v.Owner[0].Master)
		}
	}
	_, err = nodes[0].running().SetSlot(t.Context(), 0, SetNode, nodes[1].Identity().Node)
	wantError(t, err, "ERR Please use SETSLOT only with masters.")
}

// TestResetClosesImports: a node whose slots are open for importing is reset if no keys
// have come, and nothing else.
func TestResetClosesImports(t *testing.T) {
	w := newWorld(t, 25)
	nodes := w.owners(3, 1)
	ctx := t.Context()
	x := nodes[1]
	_, err := x.running().SetSlot(ctx, 3, SetImporting, nodes[0].Identity().Node)
	w.must(err)
	_, err = nodes[0].running().Forget(ctx, x.Identity().Node, false)
	wantError(t, err, fmt.Sprintf("ERR Node %s is importing keys: CLUSTER SETSLOT its slots STABLE first", x.Identity().Node))
	// Some arrive after it has looked at its keys, which the report shows.
	x.set(func(n *simNode) { n.late = slotRange(3, 3) })
	looked := 0
	x.set(func(n *simNode) {
		n.counted = func() int64 {
			if looked++; looked > 1 {
				return 1
			}
			return 0
		}
	})
	wantError(t, x.running().Reset(ctx, true), "ERR CLUSTER RESET can't be called with master nodes containing keys")
	if v := nodes[0].view(); len(v.Nodes) != 3 || len(v.Residue) != 1 || len(v.Marks) != 0 {
		t.Errorf("after the refusal: %d nodes, residue %v, marks %v", len(v.Nodes), v.Residue, v.Marks)
	}
	x.set(func(n *simNode) { n.late, n.counted = slot.Set{}, nil })
	_, err = x.running().SetSlot(ctx, 3, SetImporting, nodes[0].Identity().Node)
	w.must(err)
	w.must(x.running().Reset(ctx, true))
	if v := nodes[0].view(); len(v.Nodes) != 2 || len(v.Marks) != 0 {
		t.Errorf("after RESET: %d nodes, marks %v", len(v.Nodes), v.Marks)
	}
}

// TestMoveStorm: slots are moved by everybody at once, over a bad network and while nodes
// crash. Whoever moves a slot alone knows where it is, unless the answer was uncertain.
func TestMoveStorm(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			nodes := w.owners(4, 3)
			w.loseSome(40)
			movers := make([]*mover, 3)
			var wg sync.WaitGroup
			for i := range movers {
				m := &mover{w: w, Rand: rand.New(rand.NewPCG(seed, uint64(i))), nodes: nodes}
				movers[i] = m
				for number := 10 * i; number < 10*i+4; number++ {
					m.slots = append(m.slots, moved{number: uint16(number), at: nodes[i]})
				}
				wg.Go(func() {
					for range 40 {
						m.step()
					}
				})
			}
			over := make(chan struct{})
			crashes := make(chan struct{})
			go func() {
				defer close(crashes)
				w.crashOne(nodes, rand.New(rand.NewPCG(seed, 99)), over)
			}()
			wg.Wait()
			close(over)
			<-crashes
			w.setFault(nil)
			w.eventually("no migration is left", func() bool { return w.failMigrations(nodes[0]) })
			for _, m := range movers {
				m.check()
			}
		})
	}
}

// crashOne kills nodes and starts them again, one at a time, until it is over.
func (w *world) crashOne(nodes []*simNode, random *rand.Rand, over <-chan struct{}) {
	for {
		n := nodes[random.IntN(len(nodes))]
		n.kill()
		n.start()
		select {
		case <-over:
			return
		case <-time.After(time.Duration(20+random.IntN(60)) * time.Millisecond):
		}
	}
}

// failMigrations fails the migrations that are still active, and reports whether there
// are none any more.
func (w *world) failMigrations(by *simNode) bool {
	v, none := by.view(), true
	for _, m := range v.Migrations {
		if m.Active() {
			none = false
			_ = by.running().FailMigration(w.t.Context(), v.ClusterID, m.ID, "left over")
		}
	}
	return v.Quorum && none
}

// mover is the only one who moves its slots.
type mover struct {
	*rand.Rand
	w     *world
	nodes []*simNode
	slots []moved
	done  int // moves that were acknowledged
}

// moved is a slot, and the node that owns it as far as its mover knows; nil: it does not.
type moved struct {
	number uint16
	at     *simNode
}

func (m *mover) step() {
	s := &m.slots[m.IntN(len(m.slots))]
	to := m.nodes[m.IntN(len(m.nodes))]
	by := m.nodes[m.IntN(len(m.nodes))].running()
	if by == nil {
		return
	}
	var err error
	if m.IntN(3) == 0 && to.running() != nil {
		by = to.running()
		err = m.migrate(by, to, s.number)
	} else {
		_, err = by.SetSlot(m.w.t.Context(), s.number, SetNode, to.Identity().Node)
	}
	switch {
	case err == nil:
		s.at = to
		m.done++
	case strings.HasPrefix(err.Error(), "UNCERTAIN ") || strings.Contains(err.Error(), "metaraft: "):
		s.at = nil
	}
}

// migrate imports a slot. Whatever goes wrong, it has ended afterwards, or nobody knows.
func (m *mover) migrate(by *Node, to *simNode, number uint16) error {
	ctx, cluster := m.w.t.Context(), to.Identity().Cluster
	ids, err := by.StartMigration(ctx, topology.Import, MigrationRequest{Slots: slotRange(number, number)})
	if err != nil {
		return err
	}
	epoch, err := by.HandOver(ctx, cluster, ids[0])
	if err == nil && m.IntN(3) > 0 {
		err = by.CompleteMigration(ctx, cluster, ids[0], epoch, 1)
	} else {
		_ = by.FailMigration(ctx, cluster, ids[0], "not this time")
		return Error("ERR not this time")
	}
	return err
}

// check compares with what all nodes say.
func (m *mover) check() {
	if m.done < 8 {
		m.w.t.Errorf("only %d moves came about", m.done)
	}
	for _, s := range m.slots {
		m.w.eventually(fmt.Sprintf("all agree about slot %d", s.number), func() bool {
			first := m.nodes[0].view().Owner[s.number]
			for _, n := range m.nodes {
				v := n.view()
				if !v.Quorum || first == nil || v.Owner[s.number] == nil || v.Owner[s.number].ID != first.ID || len(v.Intents) > 0 {
					return false
				}
			}
			return s.at == nil || first.Master == s.at.Identity().Node
		})
	}
}
