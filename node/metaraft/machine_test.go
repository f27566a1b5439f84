package metaraft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// testMachine is a machine over memory that feeds itself entries.
type testMachine struct {
	*Machine
	store  storage.Store
	frozen *Admit // what the last freeze answered
}

func newTestMachine(t *testing.T) *testMachine {
	t.Helper()
	m := &testMachine{store: storage.NewMemory()}
	m.restart(t)
	return m
}

func (m *testMachine) restart(t *testing.T) {
	t.Helper()
	machine, err := NewMachine(m.store)
	if err != nil {
		t.Fatal(err)
	}
	m.Machine = machine
}

// propose applies p as the next entry.
func (m *testMachine) propose(t *testing.T, p Proposal) Outcome {
	t.Helper()
	payload, err := EncodeProposal(p)
	if err != nil {
		t.Fatal(err)
	}
	var result []byte
	e := Entry{Index: m.Applied() + 1, Time: p.Time, Payloads: [][]byte{payload}, Results: []*[]byte{&result}}
	if err := m.Apply([]Entry{e}); err != nil {
		t.Fatal(err)
	}
	o, err := DecodeOutcome(result)
	if err != nil {
		t.Fatal(err)
	}
	if o.Join != nil {
		m.frozen = o.Join
	}
	return o
}

// join admits a fresh node.
func (m *testMachine) join(t *testing.T, id string) string {
	t.Helper()
	node, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	lone := newTestMachine(t)
	lone.must(t, initial(uint64(1000+node), node))
	body := lone.must(t, &Freeze{Token: uint64(1000 + node)}).Join
	return m.run(t, Proposal{Change: body})
}

// masters makes the cluster that TestKinds describes. All members are synced and vote.
func (m *testMachine) masters(t *testing.T) {
	t.Helper()
	m.must(t, initial(100, 1))
	m.must(t, &AddSlots{Node: 1, Slots: Slots{slotRange(0, 99)}, NewGroup: 11})
	for _, id := range []string{"2", "3", "4"} {
		m.join(t, id)
	}
	m.must(t, &AddSlots{Node: 2, Slots: Slots{slotRange(100, 199)}, NewGroup: 22})
	m.must(t, &Replicate{Node: 4, Master: 1, NewGroup: 44})
	m.settle(t)
}

// settle lets all groups become what is wished, and reports it.
func (m *testMachine) settle(t *testing.T) {
	t.Helper()
	for _, shard := range m.State().Shards {
		report := &Report{Shard: shard.ID, Term: 1, Seq: shard.ReportSeq + 1}
		for _, member := range shard.Members {
			report.Voters = append(report.Voters, member.RaftID)
			if member.HoldsState() {
				report.Synced = append(report.Synced, member.RaftID)
			}
			if member.Node == shard.Master {
				report.Leader = member.RaftID
			}
		}
		slices.Sort(report.Voters)
		m.must(t, report)
		m.must(t, &MembershipDone{Shard: shard.ID, Version: shard.Version})
	}
}

// must applies a change that is not refused.
func (m *testMachine) must(t *testing.T, c Change) Outcome {
	t.Helper()
	o := m.propose(t, Proposal{Change: c})
	if o.Error != "" {
		t.Fatalf("%s: %s", c.Kind(), o.Error)
	}
	return o
}

// run proposes p and prints the outcome. It fails the test if the state breaks
// an invariant, or if a refusal changed it.
func (m *testMachine) run(t *testing.T, p Proposal) string {
	t.Helper()
	before := m.State()
	o := m.propose(t, p)
	for _, broken := range violations(m.State()) {
		t.Errorf("after %s at index %d: %s", p.Change.Kind(), m.Applied(), broken)
	}
	if o.Error != "" && p.Change.Kind() != "cancel-intent" && !bytes.Equal(essence(t, before), essence(t, m.State())) {
		t.Errorf("%s was refused and changed the state", p.Change.Kind())
	}
	return printOutcome(o)
}

// essence encodes a state without its memory of outcomes and times.
func essence(t *testing.T, s *State) []byte {
	t.Helper()
	c := *s
	c.Origins, c.Index, c.Clock = nil, 0, 0
	data, err := Encode(&c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func address(node int) topology.Address {
	return topology.Address{
		Host: "127.0.0.1", Port: uint16(6000 + node), BusPort: uint16(16000 + node),
		Raft: fmt.Sprintf("127.0.0.1:%d", 50000+node),
	}
}

func initial(cluster uint64, node int) *Init {
	return &Init{ClusterID: cluster, Node: topology.NodeID(node), Address: address(node), MetaID: 1, Feature: 1}
}

func TestRetriesGetTheFirstOutcome(t *testing.T) {
	m := newTestMachine(t)
	m.must(t, initial(100, 1))
	add := func(nonce, seq uint64, n uint16) Outcome {
		change := &AddSlots{Node: 1, NewGroup: 11}
		change.Slots.Add(n)
		return m.propose(t, Proposal{Origin: Origin{Node: 1, Nonce: nonce, Seq: seq}, Change: change})
	}
	first := add(7, 1, 1)
	if again := add(7, 1, 1); first.Error != "" || again != first {
		t.Errorf("retry answers %+v, the first time %+v", again, first)
	}
	if o := add(7, 2, 1); o.Error != "ERR Slot 1 is already busy" {
		t.Errorf("another sequence number answers %+v", o)
	}
	// A refusal is remembered as well, though the slot is free by now.
	busy := add(7, 3, 1)
	o := m.must(t, &DelSlots{Slots: Slots{slots(1)}})
	m.must(t, &Sealed{Intent: o.Intent, Group: 11})
	if again := add(7, 3, 1); again != busy {
		t.Errorf("retry of a refusal answers %+v, the first time %+v", again, busy)
	}
	m.restart(t)
	if again := add(7, 1, 1); again != first {
		t.Errorf("retry after a restart answers %+v, the first time %+v", again, first)
	}

	for seq := uint64(4); seq <= 4+originResults; seq++ {
		add(7, seq, uint16(seq))
	}
	if o := add(7, 1, 1); o.Error != string(Uncertain) {
		t.Errorf("a forgotten sequence number answers %+v", o)
	}
	if o := add(7, 4+originResults, 1); o.Error != "" {
		t.Errorf("a remembered sequence number answers %+v", o)
	}

	// The boot before is still known, the one before that is not.
	add(8, 1, 100)
	if o := add(7, 2, 1); o.Error != string(Uncertain) {
		t.Errorf("sequence number 2 of the boot before answers %+v", o)
	}
	add(9, 1, 101)
	if again := add(8, 1, 100); again.Error != "" {
		t.Errorf("the boot before answers %+v", again)
	}
	if n := len(m.State().Origins[0].Sessions); n != 2 {
		t.Errorf("%d boots of a node are remembered, want 2", n)
	}
}

func TestStrangersAreForgotten(t *testing.T) {
	m := newTestMachine(t)
	m.must(t, initial(100, 1))
	propose := func(node topology.NodeID) {
		m.propose(t, Proposal{Origin: Origin{Node: node, Nonce: 1, Seq: 1}, Change: &Liveness{}})
	}
	propose(1)
	for i := range originStrangers + 5 {
		propose(topology.NodeID(1000 - i))
	}
	s := m.State()
	if _, ok := s.findOrigin(1); !ok || len(s.Origins) != originStrangers+1 {
		t.Errorf("%d origins are remembered, the member's among them: %v", len(s.Origins), ok)
	}
	if _, ok := s.findOrigin(1000); ok {
		t.Error("the oldest stranger is remembered, newer ones are not")
	}
}

func TestApplyPublishesAndWakes(t *testing.T) {
	m := newTestMachine(t)
	changed := m.Watch()
	woken := make(chan error, 1)
	ctx, cancel := limit.Context(t)
	defer cancel()
	go func() { woken <- m.AwaitApplied(ctx, 5) }()

	payload, err := EncodeProposal(Proposal{Change: initial(100, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply([]Entry{{Index: 2, Payloads: [][]byte{payload}}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("Watch's channel is open after a change")
	}
	v := m.View(1)
	if v.Index != 2 || v.Self != 1 || v.Me() == nil || v.Me().MetaID != 1 || v.Quorum {
		t.Errorf("view %+v", v)
	}
	if m.View(1) != v {
		t.Error("the same state gives another view")
	}

	changed = m.Watch()
	if err := m.Apply([]Entry{{Index: 3}, {Index: 5}}); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; err != nil {
		t.Errorf("AwaitApplied: %v", err)
	}
	select {
	case <-changed:
		t.Error("Watch's channel is closed by entries that change nothing")
	default:
	}
	if m.Applied() != 5 || m.View(1) != v {
		t.Errorf("applied %d, view of index %d", m.Applied(), m.View(1).Index)
	}
	if err := m.Apply([]Entry{{Index: 5}}); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("an entry applied twice: %v", err)
	}
	done, stop := context.WithCancel(ctx)
	stop()
	if err := m.AwaitApplied(done, 6); !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitApplied with an ended context: %v", err)
	}
}

func TestReopenContinues(t *testing.T) {
	m := newTestMachine(t)
	m.must(t, initial(100, 1))
	m.must(t, &AddSlots{Node: 1, Slots: Slots{slots(1, 2, 3)}, NewGroup: 11})
	if err := m.Apply([]Entry{{Index: 9}}); err != nil {
		t.Fatal(err)
	}
	before := printState(m.State())
	m.restart(t)
	if m.Applied() != 9 || printState(m.State()) != before {
		t.Errorf("reopened at %d with\n%s\nwant 9 with\n%s", m.Applied(), printState(m.State()), before)
	}
	m.must(t, &AddSlots{Node: 1, Slots: Slots{slots(4)}, NewGroup: 12})
	if got := m.View(1).Shard(11).Slots.String(); got != "1-4" {
		t.Errorf("slots %s after reopening", got)
	}
}

func TestUnknownEntriesAreFatal(t *testing.T) {
	encode := func(kind Kind, body string) []byte {
		data, err := Encode(wireProposal{Kind: kind, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := encode("init", `{"ClusterID":9,"Node":9,"MetaID":1}`)
	cases := []struct {
		name    string
		payload []byte
		want    error
	}{
		{"format", append([]byte{formatJSON + 1}, good[1:]...), ErrFormat},
		{"empty", nil, ErrFormat},
		{"kind", encode("split", "{}"), ErrUnknownKind},
		{"field", encode("forget", `{"Node":1,"Gently":true}`), nil},
		{"slots", encode("add-slots", `{"Node":1,"Slots":"5-16384"}`), nil},
		{"not JSON", []byte("\x01{"), nil},
	}
	for _, c := range cases {
		m := newTestMachine(t)
		err := m.Apply([]Entry{{Index: 1, Payloads: [][]byte{good, c.payload}}})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if m.Applied() != 0 || m.State().ClusterID != 0 {
			t.Errorf("%s: part of the call was published", c.name)
		}
		m.restart(t)
		if m.Applied() != 0 || m.State().ClusterID != 0 {
			t.Errorf("%s: part of the call was stored", c.name)
		}
	}
}

// brokenStore fails every write once broken is set.
type brokenStore struct {
	storage.Store
	broken bool
}

func (s *brokenStore) Write(b *storage.Batch) error {
	if s.broken {
		return os.ErrClosed
	}
	return s.Store.Write(b)
}

func TestFailedWriteIsNotPublished(t *testing.T) {
	store := &brokenStore{Store: storage.NewMemory()}
	m := &testMachine{store: store}
	m.restart(t)
	m.must(t, initial(100, 1))
	store.broken = true
	payload, err := EncodeProposal(Proposal{Change: &BumpEpoch{Node: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply([]Entry{{Index: 2, Payloads: [][]byte{payload}}}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
	if m.Applied() != 1 || m.State().Epoch != 0 {
		t.Error("what could not be stored was published")
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	for name, value := range map[string]string{"format": "\x09{}", "cut": "\x01{\"ClusterID\":", "newer": "\x01{\"Zones\":3}"} {
		store := storage.NewMemory()
		var b storage.Batch
		b.Put(stateKey, []byte(value))
		if err := store.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := NewMachine(store); err == nil {
			t.Errorf("%s: a damaged state was opened", name)
		}
	}
}

// A machine over an exported state goes on as the one that it was taken from.
func TestExport(t *testing.T) {
	if _, _, err := newTestMachine(t).Export(); err == nil {
		t.Error("the state of nothing was exported")
	}
	m := newTestMachine(t)
	m.must(t, initial(7, 1))
	m.join(t, "2")
	applied, records, err := m.Export()
	if err != nil || applied != m.Applied() {
		t.Fatalf("exported %d of %d, %v", applied, m.Applied(), err)
	}
	defer records.Release()
	store := storage.NewMemory()
	var b storage.Batch
	for records.Next() {
		b.Put(records.Key(), records.Value())
	}
	if err := store.Write(&b); err != nil {
		t.Fatal(err)
	}
	copied, err := NewMachine(store)
	if err != nil {
		t.Fatal(err)
	}
	if copied.Applied() != m.Applied() || printState(copied.State()) != printState(m.State()) {
		t.Errorf("the copy is at %d with %s", copied.Applied(), printState(copied.State()))
	}
}
