package replica

import (
	"context"
	"errors"
	"log/slog"
	"math/rand"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
	"github.com/genuineh/aikv/testbed/limit"
)

// workshop is a node that is alone, with a Manager whose topology the test makes.
type workshop struct {
	t       *testing.T
	manager *Manager
	view    atomic.Pointer[topology.View]
	opening sync.Map // of a folder's name: a channel that holds its opening up

	// takeovers and sealed get what is reported; reports, if not nil, holds reports up.
	takeovers chan topology.GroupID
	sealed    chan uint64
	reports   chan struct{}
}

func (w *workshop) Current() *topology.View { return w.view.Load() }
func (w *workshop) Recovered() bool         { return true }

func (w *workshop) Takeover(ctx context.Context, _ uint64, shard topology.GroupID, _, _ uint64) error {
	select {
	case w.takeovers <- shard:
		return errors.New("not recorded") // so that nothing goes on by itself
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *workshop) Report(ctx context.Context, _ uint64, _ topology.GroupID, _, _ uint64, _ *multiraft.Report) error {
	select {
	case <-w.reports:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *workshop) MembershipDone(context.Context, uint64, topology.GroupID, uint64) error {
	return nil
}

func (w *workshop) Sealed(_ context.Context, _, intent uint64, _ topology.GroupID, _ slot.Set) error {
	w.sealed <- intent
	return nil
}

func (w *workshop) ClearResidue(context.Context, uint64, topology.GroupID, slot.Set) error {
	return nil
}

func (w *workshop) View(context.Context) *topology.View { return w.view.Load() }

func (w *workshop) GarbageGone(context.Context, uint64, topology.GroupID, slot.Set, uint64) error {
	return nil
}

func (w *workshop) HandBack(context.Context, uint64, topology.MigrationID, uint64) error { return nil }

// deaf is a transport that leads nowhere.
type deaf struct{}

func (deaf) Send(uint64, bool, []byte) bool { return true }

func openWorkshop(t *testing.T) *workshop {
	w := &workshop{t: t, takeovers: make(chan topology.GroupID), sealed: make(chan uint64, 16), reports: make(chan struct{})}
	log, err := wal.Open(wal.Options{
		Dir: "wal", FS: crashfs.New(), SegmentSize: 256 << 10, Preallocate: 8 << 10,
		Rand: rand.New(rand.NewSource(1)), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	host := multiraft.New(multiraft.Options{
		Log: log, Transport: deaf{}, Cluster: 1, Tick: 10 * time.Millisecond, ElectionTicks: 5, HeartbeatTicks: 1,
		MaxEntryBytes: 64 << 10, InflightEntries: 4, RequestTimeout: limit.Wait(), LogEntries: 1000, LogBytes: 1 << 20,
		Now: time.Now, Sched: sched.System, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) },
		Header: func() multiraft.Header { return multiraft.Header{Level: command.Level} },
		Notify: func(multiraft.GroupID) { w.manager.Wake() },
	})
	dir := t.TempDir()
	w.manager = NewManager(Options{
		Host: host, Topology: w, Table: command.NewTable(data.Commands()), Dir: dir,
		OpenStore: func(path string) (storage.Store, error) {
			if held, ok := w.opening.Load(filepath.Base(path)); ok {
				<-held.(chan struct{})
			}
			return storage.NewMemory(), nil
		},
		PauseLimit:    func() time.Duration { return time.Second },
		ReportTimeout: limit.Wait(), Sched: sched.System, Logger: slog.New(slog.DiscardHandler),
		Fatal: func(err error) { t.Error(err) },
	})
	w.view.Store(&topology.View{})
	ctx, cancel := context.WithCancel(context.Background())
	host.Start()
	run := sched.NewGroup(sched.System)
	run.Go("replicas", func() { w.manager.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		host.Close()
		run.Wait()
		if err := errors.Join(w.manager.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// show makes a view of the shards, each with this node as its only member, of which the
// first owns all slots.
func (w *workshop) show(intents []*topology.Intent, ids ...topology.GroupID) {
	view := &topology.View{Self: 1, ClusterID: 1, Index: w.view.Load().Index + 1, Nodes: []*topology.Node{{ID: 1}}, Intents: intents}
	for _, id := range ids {
		view.Shards = append(view.Shards, &topology.Shard{
			ID: id, Master: 1, Version: 1, Members: []topology.Member{{Node: 1, RaftID: uint64(id), Synced: true}},
		})
	}
	view.Shards[0].Slots = slot.Full()
	for n := range view.Owner {
		view.Owner[n], view.SlotEpoch[n] = view.Shards[0], 1
	}
	w.view.Store(view)
	w.manager.Wake()
}

func await[T any](t *testing.T, from <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(limit.Wait()):
		t.Fatal("waited in vain for ", what)
	}
	return got
}

// A replica that takes its time to open holds up no other one.
func TestWorkersDoNotWaitForEachOther(t *testing.T) {
	w := openWorkshop(t)
	held := make(chan struct{})
	w.opening.Store(filepath.Base(newReplica(w.manager, 4, 4, true, 0).dir), held)
	w.show(nil, 4, 7)
	if got := await(t, w.takeovers, "the second shard's replica"); got != 7 {
		t.Errorf("shard %d was taken over", got)
	}
	close(held)
	for await(t, w.takeovers, "the first shard's replica") != 4 {
	}
}

// What a leader has to do for the topology goes on while MetaRaft takes its time to
// answer something else.
func TestStepsDoNotWaitForEachOther(t *testing.T) {
	w := openWorkshop(t)
	w.show(nil, 4)
	await(t, w.takeovers, "the replica") // the report is under way, and gets no answer
	w.show([]*topology.Intent{
		{ID: 1, Epoch: 2, Slots: slot.FromRanges([]slot.Range{{Start: 1, End: 9}}), Pending: []topology.GroupID{4}},
		{ID: 2, Epoch: 3, Slots: slot.FromRanges([]slot.Range{{Start: 11, End: 19}}), Pending: []topology.GroupID{4}},
	}, 4)
	sealed := make(map[uint64]bool)
	for len(sealed) < 2 {
		sealed[await(t, w.sealed, "both seals")] = true
	}
	m := w.manager.Data(4).Machine()
	if m.Owns(5) || m.Owns(15) || m.SlotEpoch(5) != 2 || m.SlotEpoch(15) != 3 {
		t.Error("a seal was reported that the machine does not show")
	}
	await(t, w.takeovers, "another try at what failed")
}

// A worker ends with its replica.
func TestWorkersEnd(t *testing.T) {
	w := openWorkshop(t)
	w.show(nil, 4, 7)
	for seen := map[topology.GroupID]bool{}; len(seen) < 2; {
		seen[await(t, w.takeovers, "both replicas")] = true
	}
	w.show(nil, 7)
	for until := time.Now().Add(limit.Wait()); ; time.Sleep(time.Millisecond) {
		w.manager.mu.Lock()
		workers := len(w.manager.workers)
		w.manager.mu.Unlock()
		if workers == 1 && w.manager.replica(4) == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d workers for one replica", workers)
		}
	}
}
