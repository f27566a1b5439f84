package metaraft

import (
	"bytes"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// FuzzDecodeProposal: whatever arrives is either refused or can be applied, and
// means the same when it is sent on.
func FuzzDecodeProposal(f *testing.F) {
	for kind := range changes {
		data, err := EncodeProposal(Proposal{Change: changes[kind]()})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, c := range []Change{
		&HandOver{ID: 74}, &HandBack{ID: 71, Epoch: 2}, &CompleteMigration{ID: 71, Epoch: 2, Paused: 9}, &EndMigration{Node: 1, State: topology.Canceled, Text: "x"},
		&GarbageGone{Group: 11, Slots: Slots{slots(2)}, Epoch: 3}, &SetSlot{Node: 3, Slots: Slots{slotRange(5, 7)}, Action: SetStable},
		&SetSlot{Node: 2, Slots: Slots{slotRange(10, 12)}, Action: SetNode, Peer: 2}, &Sealed{Intent: 3, Group: 11}, &DelSlots{Slots: Slots{slots(1, 4)}},
		&StartMigration{Node: 3, Face: topology.Import, Jobs: []MigrationJob{{ID: 9, Slots: Slots{slots(8)}}}}, &Forget{Node: 3, Force: true},
	} {
		data, err := EncodeProposal(Proposal{Change: c})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`` + "\x01" + `{"Kind":"admit","Body":{"Token":1,"Node":2,"Shards":[{"Shard":{"ID":5,"Master":2,"Members":[{"Node":2}]},"Slots":[{"Start":9,"End":65535}]}]}}`))
	moving := movingState(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodeProposal(data)
		if err != nil {
			return
		}
		sent, err := EncodeProposal(p)
		if err != nil {
			t.Fatal(err)
		}
		p2, err := DecodeProposal(sent)
		if err != nil {
			t.Fatalf("%q was read, but not its encoding %q: %v", data, sent, err)
		}
		if again, err := EncodeProposal(p2); err != nil || !bytes.Equal(again, sent) {
			t.Fatalf("%q became %q, %v", sent, again, err)
		}
		s, _ := applyProposal(&State{Slots: new(SlotTable)}, 1, 0, Proposal{Change: initial(100, 1)})
		for _, s := range []*State{s, moving} {
			s, _ = applyProposal(s, s.Index+1, 0, p)
			for _, broken := range violations(s) {
				t.Error(broken)
			}
		}
	})
}

// movingState is one with everything that there is of slots that move.
func movingState(t testing.TB) *State {
	s := &State{Slots: new(SlotTable)}
	admit := func(node int) *Admit {
		return &Admit{Token: uint64(node), Node: topology.NodeID(node), Address: address(node)}
	}
	job := func(id uint64, n uint16, to int) *StartMigration {
		return &StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{
			{ID: topology.MigrationID(id), Slots: Slots{slots(n)}, Target: topology.NodeID(to), NewGroup: topology.GroupID(10 + to)},
		}}
	}
	for i, c := range []Change{
		initial(100, 1), admit(2), admit(3),
		&AddSlots{Node: 1, Slots: Slots{slotRange(0, 99)}, NewGroup: 11},
		job(71, 1, 2), job(72, 2, 2), job(73, 3, 3), job(74, 4, 3),
		&HandOver{ID: 71}, &HandOver{ID: 72}, &CompleteMigration{ID: 72, Epoch: 3, Paused: 1},
		&EndMigration{ID: 73, State: topology.Failed, Text: "broken"},
		&SetSlot{Node: 1, Slots: Slots{slots(5)}, Action: SetMigrating, Peer: 2},
		&SetSlot{Node: 3, Slots: Slots{slots(5)}, Action: SetImporting, Peer: 1},
		&SetSlot{Node: 3, Slots: Slots{slots(6)}, Action: SetNode, Peer: 3},
	} {
		next, o := applyProposal(s, uint64(i+1), 0, Proposal{Change: c})
		if o.Error != "" {
			t.Fatalf("%s: %s", c.Kind(), o.Error)
		}
		s = next
	}
	return s
}

// FuzzState: a stored state is refused, or the machine works with it: it has a
// view, and stores the same again.
func FuzzState(f *testing.F) {
	s := &State{Slots: new(SlotTable)}
	add := func() {
		data, err := Encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	add()
	for i, c := range []Change{
		initial(100, 1),
		&AddSlots{Node: 1, Slots: Slots{slot.Full()}, NewGroup: 7},
		&DelSlots{Slots: Slots{slot.FromRanges([]slot.Range{{Start: 5, End: 9}})}},
	} {
		s, _ = applyProposal(s, uint64(i+1), 0, Proposal{Change: c})
		add()
	}
	s = movingState(f)
	add()
	f.Add([]byte("\x01{\"Slots\":null}"))
	f.Add([]byte("\x01null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		store := storage.NewMemory()
		var b storage.Batch
		b.Put(stateKey, data)
		if err := store.Write(&b); err != nil {
			t.Fatal(err)
		}
		m, err := NewMachine(store)
		if err != nil {
			return
		}
		m.View(1)
		sent, err := Encode(m.State())
		if err != nil {
			t.Fatal(err)
		}
		back := State{Slots: new(SlotTable)}
		if err := Decode(sent, &back); err != nil {
			t.Fatalf("%q was read, but not its encoding %q: %v", data, sent, err)
		}
		if again, err := Encode(&back); err != nil || !bytes.Equal(again, sent) {
			t.Fatalf("%q became %q, %v", sent, again, err)
		}
	})
}

// FuzzRPC: a request or reply of any method is refused, or means the same when
// it is sent on.
func FuzzRPC(f *testing.F) {
	bodies := []any{
		PeerInfo{Node: 1},
		identifyRequest{Wait: true},
		proposeRequest{Payload: []byte("x")},
		proposeReply{Status: forwardDone},
		joinRequest{Cluster: 1},
		burnRequest{Token: 2},
		joinReply{Admit: &AdmitOutcome{}},
		meetRequest{Address: "a:1"},
		meetReply{Error: "e"},
		whoamiRequest{Node: 1},
		whoamiReply{Status: whoamiMember},
		departedRequest{},
		departedReply{},
		notice{Dissolved: &dissolution{Target: "d", Members: []formerMember{{Node: 1}}}},
		Outcome{Error: "ERR"},
	}
	for _, body := range bodies {
		f.Add(encodeRPC(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkRPC[PeerInfo](t, data)
		checkRPC[identifyRequest](t, data)
		checkRPC[proposeRequest](t, data)
		checkRPC[proposeReply](t, data)
		checkRPC[joinRequest](t, data)
		checkRPC[burnRequest](t, data)
		checkRPC[joinReply](t, data)
		checkRPC[meetRequest](t, data)
		checkRPC[meetReply](t, data)
		checkRPC[whoamiRequest](t, data)
		checkRPC[whoamiReply](t, data)
		checkRPC[departedRequest](t, data)
		checkRPC[departedReply](t, data)
		checkRPC[notice](t, data)
		checkRPC[Outcome](t, data)
		if o, err := DecodeOutcome(data); err == nil {
			_ = o.Err()
		}
	})
}

func checkRPC[T any](t *testing.T, data []byte) {
	body, err := decodeRPC[T](data)
	if err != nil {
		return
	}
	sent := encodeRPC(body)
	again, err := decodeRPC[T](sent)
	if err != nil {
		t.Fatalf("a %T: %q was read, but not its encoding %q: %v", body, data, sent, err)
	}
	if twice := encodeRPC(again); !bytes.Equal(twice, sent) {
		t.Fatalf("a %T: %q became %q", body, sent, twice)
	}
}
