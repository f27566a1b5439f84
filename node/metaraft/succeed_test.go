package metaraft

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// A MetaRaft that goes on from one member keeps members, shards and owners. What the
// lost voters may have given out is not given out again, what was under way is given
// up, and owners take their slots up again.
func TestSucceed(t *testing.T) {
	m := newTestMachine(t)
	m.must(t, initial(100, 1))
	for node := 2; node <= 6; node++ {
		m.join(t, strconv.Itoa(node))
	}
	var slots, some slot.Set
	for n := range uint16(10) {
		slots.Add(n)
	}
	some.Add(3)
	m.must(t, &AddSlots{Node: 1, Slots: Slots{slots}, NewGroup: 11})
	intent := m.must(t, &DelSlots{Slots: Slots{some}}).Intent
	before := m.State()
	if err := m.Succeed(m.Applied(), 200); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("an entry that was applied before: %v", err)
	}
	if m.State() != before {
		t.Error("a refusal changed the state")
	}

	index := m.Applied() + 5
	if err := m.Succeed(index, 200); err != nil {
		t.Fatal(err)
	}
	m.restart(t)
	s := m.State()
	for _, broken := range violations(s) {
		t.Error(broken)
	}
	if m.Applied() != index || s.Index != index || s.ClusterID != 200 || len(s.Nodes) != 6 {
		t.Errorf("applied %d: %s", m.Applied(), printState(s))
	}
	for i, n := range s.Nodes {
		if n.MetaID != before.Nodes[i].MetaID || n.MetaVoter != before.Nodes[i].MetaVoter {
			t.Errorf("node %d has another place in MetaRaft", n.ID)
		}
	}
	shard, old := s.Shard(11), before.Shard(11)
	if shard == nil || shard.Version <= old.Version+1000 || len(shard.Members) != len(old.Members) || shard.Members[0] != old.Members[0] {
		t.Errorf("the shard was %+v and is %+v", old, shard)
	}
	if s.RaftID < before.RaftID+1000 || s.Intent < before.Intent+1000 {
		t.Errorf("counters: %d, %d", s.RaftID, s.Intent)
	}
	for n := range slots.All {
		if s.Slots[n].Group != 11 || s.Slots[n].Epoch < before.SlotEpoch+1000 || s.Slots[n].Epoch > s.SlotEpoch {
			t.Errorf("slot %d: %+v", n, s.Slots[n])
		}
	}
	for _, id := range []uint64{intent, intent + 1} { // the next one may have been given out
		if done, err := s.IntentResult(id); !done || err == nil || err.Error() != string(Uncertain) {
			t.Errorf("intent %d: %v, %v", id, done, err)
		}
	}
	if o := m.propose(t, Proposal{Time: time.Now().UnixMilli(), Change: &Forget{Node: 6}}); o.Error != "" {
		t.Error(o.Error)
	}
}
