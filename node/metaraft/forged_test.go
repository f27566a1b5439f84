package metaraft

import (
	"context"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// TestForgedNotices: one word of one peer makes no node give up anything,
// whatever it names.
func TestForgedNotices(t *testing.T) {
	w := newWorld(t, 5)
	nodes := w.bootMany(6)
	for _, n := range nodes[1:] {
		w.must(n.meet(nodes[0]))
	}
	w.own(nodes)
	for _, n := range nodes {
		n.set(func(n *simNode) { n.keys = 1 })
	}
	cluster := nodes[0].Identity().Cluster
	var members []formerMember
	for _, n := range nodes {
		members = append(members, formerMember{Node: n.Identity().Node, MetaID: n.Identity().MetaID})
	}
	for _, n := range nodes {
		for _, end := range []*dissolution{{Target: "127.0.0.1:1", Members: members}, {Target: "127.0.0.1:1"}, nil} {
			_, err := n.running().Serve(t.Context(), 1, MethodNotice, encodeRPC(notice{Cluster: cluster, Dissolved: end}))
			w.must(err)
		}
	}
	// Each has made up its mind when the duty is over.
	for _, n := range nodes {
		node := n.running()
		w.eventually("the notice was looked into", func() bool {
			node.mu.Lock()
			defer node.mu.Unlock()
			_, hearing := node.duties["hear of a dissolution"]
			_, asking := node.duties["inquire"]
			return !hearing && !asking
		})
	}
	w.mustBeTogether(nodes)
	for _, n := range nodes {
		if keys, _ := n.Keys(t.Context()); keys != 1 || n.Identity().Cluster != cluster {
			t.Errorf("%s gave its data up", n.addr.Raft)
		}
	}
	if got := nodes[0].view().Assigned(); got != 16384 {
		t.Errorf("%d slots are assigned", got)
	}
}

// TestUnreadableProposal: what no member could apply is never appended.
func TestUnreadableProposal(t *testing.T) {
	w := newWorld(t, 6)
	n := w.boot(1)
	w.eventually("it is founded", func() bool { return n.running().Info().Staying })
	before := n.view()
	for _, payload := range []string{"", "x", "\x01{}", "\x01{\"Kind\":\"none\"}", "\x01{\"Kind\":\"feature\",\"Body\":{\"Later\":1}}"} {
		request := encodeRPC(proposeRequest{Cluster: n.Identity().Cluster, Payload: []byte(payload)})
		reply, err := n.running().Serve(t.Context(), 1, MethodPropose, request)
		w.must(err)
		if r, err := decodeRPC[proposeReply](reply); err != nil || r.Status != forwardRefused {
			t.Errorf("%q: %+v, %v", payload, r, err)
		}
	}
	if n.view() != before {
		t.Error("the state changed")
	}
	w.must(n.running().AddSlots(t.Context(), slotRange(0, 9)))
}

// TestImplausibleJoiners: what a joiner says of itself is looked at before it
// replaces anything.
func TestImplausibleJoiners(t *testing.T) {
	s := &State{Slots: new(SlotTable)}
	s, _ = applyProposal(s, 1, 0, Proposal{Change: &Init{ClusterID: 1, Node: 1, MetaID: 1}})
	s, _ = applyProposal(s, 2, 0, Proposal{Change: &Admit{Token: 1, Node: 2}})
	if s.Node(2) == nil {
		t.Fatal("a plausible one was refused")
	}
	for i, c := range []Admit{
		{MaxRaftID: 1 << 63},
		{SlotEpoch: 1<<64 - 1},
		{Epoch: 1 << 63},
		{ConfigEpoch: 1 << 63},
		{Address: topology.Address{Host: "1.2.3.4\nfake"}},
		{Address: topology.Address{Hostname: "a b"}},
		{Address: topology.Address{Raft: "a:1,b"}},
		{Shards: []Import{{}, {}}},
		{Shards: []Import{{Shard: ShardRecord{ID: 7, Master: 2, Members: []topology.Member{{Node: 2, Kind: topology.Data, RaftID: 1 << 63}}}}}},
	} {
		c.Token, c.Node = uint64(10+i), 2
		after, o := applyProposal(s, uint64(10+i), 0, Proposal{Change: &c})
		if o.Admit == nil || o.Admit.Status != Refused || after.Node(2).Token != 1 {
			t.Errorf("%+v: %+v", c, o.Admit)
		}
	}
	_, o := applyProposal(s, 30, 0, Proposal{Change: &SetAddress{Node: 2, Address: topology.Address{Host: "x\r\n"}}})
	if o.Error == "" {
		t.Error("an address of two lines was taken")
	}
}

// FuzzCalls: whatever call a peer makes, the nodes of a cluster answer or refuse
// it and go on.
func FuzzCalls(f *testing.F) {
	payload, err := EncodeProposal(Proposal{Change: &Replicate{Node: 1, Master: 2, NewGroup: 3}})
	if err != nil {
		f.Fatal(err)
	}
	for method, body := range map[uint8]any{
		MethodIdentify: identifyRequest{}, MethodPropose: proposeRequest{Cluster: 1, Payload: payload},
		MethodJoin: joinRequest{Cluster: 1, Admit: Admit{Token: 1, Node: 9, Shards: []Import{{}}}},
		MethodBurn: burnRequest{Cluster: 1, Token: 1}, MethodJoinRequest: meetRequest{Address: "a:1", WaitMs: 1},
		MethodWhoami: whoamiRequest{Cluster: 1, Node: 2}, MethodDeparted: departedRequest{Cluster: 1},
		MethodNotice:   notice{Cluster: 1, Dissolved: &dissolution{Members: []formerMember{{Node: 2}}}},
		MethodFarewell: Farewell{Cluster: 1, Node: 2},
	} {
		f.Add(method, encodeRPC(body))
	}
	f.Add(uint8(99), []byte{})
	for kind := range changes {
		body := encodeRPC(proposeRequest{Cluster: 1, Payload: append([]byte{formatJSON}, `{"Kind":"`+string(kind)+`","Body":{}}`...)})
		f.Add(MethodPropose, body)
	}
	f.Fuzz(func(t *testing.T, method uint8, request []byte) {
		w := newWorld(t, 1)
		a, b := w.bootAs(1, 1), w.bootAs(2, 2)
		w.must(b.meet(a))
		w.must(a.running().AddSlots(t.Context(), slotRange(0, 9)))
		for _, n := range []*simNode{a, b} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, _ = n.running().Serve(ctx, 1, method, request)
			cancel()
			n.running().Current()
			n.running().Info()
		}
	})
}
