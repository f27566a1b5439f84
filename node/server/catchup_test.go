package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/testbed/limit"
)

// member is a node in this process whose parts a test can look at.
type member struct {
	*node
	t    *testing.T
	cfg  config.Config
	stop context.CancelFunc
}

// startMember starts a node whose groups' logs are cut early.
func startMember(t *testing.T) *member {
	t.Helper()
	m := &member{t: t, cfg: testConfig(t)}
	m.cfg.WAL.GroupEntries, m.cfg.WAL.GroupSize = 40, 16<<10
	m.cfg.WAL.SegmentSize, m.cfg.WAL.Preallocate = 1<<20, 64<<10
	m.begin()
	t.Cleanup(m.end)
	return m
}

func (m *member) begin() {
	m.t.Helper()
	m.node = newNode(m.cfg, slog.New(slog.DiscardHandler), sched.System)
	m.level = new(slog.LevelVar)
	if err := errors.Join(m.listen(), m.open()); err != nil {
		m.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	if err := m.start(ctx); err != nil {
		m.t.Fatal(err)
	}
}

// end stops the node, if it runs.
func (m *member) end() {
	if m.node == nil {
		return
	}
	var failure error
	select {
	case failure = <-m.fatal:
		m.t.Errorf("the node ended with %v", failure)
	default:
	}
	if err := m.node.stop(m.stop, failure); err != nil {
		m.t.Error(err)
	}
	m.node = nil
}

func (m *member) ok(args ...string) {
	m.t.Helper()
	expect(m.t, m.cfg, "OK", args...)
}

func (m *member) id() string {
	m.t.Helper()
	reply, err := do(m.cfg, "CLUSTER", "MYID")
	if err != nil {
		m.t.Fatal(err)
	}
	return string(reply.Str)
}

func (m *member) meet(o *member) {
	m.t.Helper()
	m.ok("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(o.cfg.Server.Port))
}

// write sets keys first to last, in pipelines, through a node that serves them.
func (m *member) write(first, last int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
	defer cancel()
	client, err := resp.Dial(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(m.cfg.Server.Port)))
	if err != nil {
		m.t.Fatal(err)
	}
	defer client.Close()
	for i := first; i <= last; i++ {
		for { // a leader may yet have to be elected
			reply, err := client.Do(ctx, "SET", fmt.Sprintf("k%d", i%100), fmt.Sprintf("v%d", i))
			if err != nil {
				m.t.Fatal(err)
			}
			if !reply.IsError() {
				break
			}
		}
	}
}

// shard returns the node's replica of the only shard, nil if it has none.
func (m *member) shard() *replica.Replica {
	if all := m.replicas.All(); len(all) == 1 {
		return all[0]
	}
	return nil
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit.Wait()); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("this never came: %s", what)
		}
	}
}

// same reports whether two nodes hold the same data as of the same entry.
func same(t *testing.T, a, b *member) bool {
	t.Helper()
	x, y := a.shard(), b.shard()
	if x == nil || y == nil || x.Machine() == nil || y.Machine() == nil || x.Machine().Applied() != y.Machine().Applied() {
		return false
	}
	hash1, err1 := x.Machine().Hash()
	hash2, err2 := y.Machine().Hash()
	if err1 != nil || err2 != nil || x.Machine().Applied() != y.Machine().Applied() {
		return false // one of them went on meanwhile
	}
	if hash1 != hash2 {
		t.Fatalf("the states as of entry %d differ", x.Machine().Applied())
	}
	return true
}

// folders returns what lies in a folder.
func folders(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (m *member) received() int64 {
	_, n := m.snapshots.Counts()
	return n
}

// metaStart is where MetaRaft's log begins, metaEnd where it ends.
func (m *member) metaStart() uint64 { return m.home.replica.Load().group.LogStart() }

// lastOf returns where a group's log ends.
func (m *member) lastOf(id multiraft.GroupID) uint64 {
	m.t.Helper()
	last, err := m.data.log.Storage(uint64(id)).LastIndex()
	if err != nil {
		m.t.Fatal(err)
	}
	return last
}

// A cluster whose logs are cut all the time: a replica that was away, an arbiter
// that is to hold data, a node that is new: all get what their logs cannot give.
func TestCatchUpBySnapshot(t *testing.T) {
	a, b, c := startMember(t), startMember(t), startMember(t)
	a.ok("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	a.meet(b)
	a.meet(c)
	b.ok("CLUSTER", "REPLICATE", a.id())
	a.write(1, 60)
	eventually(t, "the replica to follow", func() bool { return same(t, a, b) })

	// A replica returns whose log ends before the master's begins.
	group, former := a.shard().Group().ID(), folders(t, b.data.shards)
	b.end()
	a.write(61, 300)
	eventually(t, "the master to cut its log", func() bool { return a.shard().Group().LogStart() > 150 })
	b.begin()
	if start, last := a.shard().Group().LogStart(), b.lastOf(group); last > start {
		t.Fatalf("the log begins at %d, the replica ends at %d: the test proves nothing", start, last)
	}
	eventually(t, "the replica to catch up", func() bool { return same(t, a, b) })
	if n := b.received(); n == 0 {
		t.Error("not by a snapshot")
	}
	eventually(t, "the former state to go", func() bool { return len(folders(t, b.data.shards)) == 1 })
	if names := folders(t, b.data.shards); slices.Equal(names, former) {
		t.Errorf("the new state lies where the former one did: %v", names)
	}

	// The arbiter gets data, though its log has lost the beginning.
	eventually(t, "the arbiter to cut its log", func() bool { return c.shard() != nil && c.shard().Group().LogStart() > 150 })
	c.ok("CLUSTER", "REPLICATE", a.id())
	a.write(301, 350)
	eventually(t, "the former arbiter to hold the data", func() bool { return same(t, a, c) })
	if n := c.received(); n == 0 {
		t.Error("not by a snapshot")
	}

	// A new node gets MetaRaft's state, whose log begins later.
	for i := range 30 {
		a.ok("CLUSTER", "DELSLOTS", strconv.Itoa(i))
		a.ok("CLUSTER", "ADDSLOTS", strconv.Itoa(i))
	}
	eventually(t, "MetaRaft's log to be cut", func() bool { return a.metaStart() > 0 })
	d := startMember(t)
	a.meet(d)
	if n := d.received(); n == 0 {
		t.Error("the new node has got no state of MetaRaft")
	}
	eventually(t, "MetaRaft's former state to go", func() bool { return len(folders(t, d.data.meta)) == 1 })

	// All of it survives: the states, and which folders they are in.
	all := []*member{a, b, c, d}
	for _, m := range all {
		m.end()
	}
	for _, m := range all {
		m.begin()
	}
	eventually(t, "the cluster to serve again", func() bool {
		reply, err := do(a.cfg, "CLUSTER", "INFO")
		return err == nil && strings.Contains(string(reply.Str), "cluster_state:ok")
	})
	eventually(t, "the same data everywhere", func() bool { return same(t, a, b) && same(t, a, c) })
	for _, m := range all {
		if n := m.received(); n != 0 {
			t.Errorf("a restarted node needed %d snapshots", n)
		}
	}
}

// A stranger's folder, such as that of a state whose installation a crash cut
// short, is removed at the start, and the state that the log names is used.
func TestLeftoversAreRemoved(t *testing.T) {
	m := startMember(t)
	m.ok("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	m.write(1, 50)
	shards, meta := m.data.shards, m.data.meta
	state, metaState := folders(t, shards)[0], folders(t, meta)[0]
	m.end()
	for dir, name := range map[string]string{shards: state + ".1", meta: metaState + ".1"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "half"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.begin()
	for dir, name := range map[string]string{shards: state, meta: metaState} {
		if got := folders(t, dir); len(got) != 1 || got[0] != name {
			t.Errorf("%s holds %v, want %s", dir, got, name)
		}
	}
	m.write(51, 60)
}
