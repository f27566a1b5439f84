package metaraft

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/topology"
)

// TestKinds drives machines through testdata/*.txt. Each command is a kind of
// change with its body as JSON; "on=b" sends it to another machine than "a",
// "origin=NODE/NONCE/SEQ" gives it an origin, "time=MS" an entry time. Besides:
//
//	state                 prints the state
//	admit from=b          proposes what b's last freeze brought
//	join nodes=(2,3)      makes lone clusters of these nodes and admits them
//	restart               reopens the machine from its store
//	masters               makes a cluster: node 1, whose replica is node 4, owns slots
//	                      0-99 as shard 11, node 2 100-199 as 22, node 3 none
//	marks                 prints the marks of the view
//	settle                lets all groups become what is wished
//	moves                 prints what the state says of slots
//	succeed               begins MetaRaft again from this machine
func TestKinds(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		machines := make(map[string]*testMachine)
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			name := "a"
			scanArg(t, td, "on", &name)
			m := machines[name]
			if m == nil {
				m = newTestMachine(t)
				machines[name] = m
			}
			var from string
			scanArg(t, td, "from", &from)
			switch {
			case td.Cmd == "state":
				return printState(m.State())
			case td.Cmd == "join":
				var b strings.Builder
				for _, arg := range td.CmdArgs[0].Vals {
					b.WriteString(m.join(t, arg))
				}
				return b.String()
			case td.Cmd == "restart":
				m.restart(t)
				return ""
			case td.Cmd == "settle":
				m.settle(t)
				return ""
			case td.Cmd == "masters":
				m.masters(t)
				return ""
			case td.Cmd == "marks":
				return printMarks(m.View(1))
			case td.Cmd == "moves":
				return printMoves(m.State())
			case td.Cmd == "succeed":
				if err := m.Succeed(m.Applied()+1, 200); err != nil {
					t.Fatal(err)
				}
				for _, broken := range violations(m.State()) {
					t.Error(broken)
				}
				return ""
			case from != "":
				body := *machines[from].frozen
				return m.run(t, Proposal{Change: &body})
			}
			return m.run(t, parseProposal(t, td))
		})
	})
}

// scanArg reads an argument that may be missing.
func scanArg(t *testing.T, td *datadriven.TestData, name string, dest any) {
	t.Helper()
	if td.HasArg(name) {
		td.ScanArgs(t, name, dest)
	}
}

func parseProposal(t *testing.T, td *datadriven.TestData) Proposal {
	t.Helper()
	wire := wireProposal{Kind: Kind(td.Cmd), Body: []byte(td.Input)}
	var text string
	if scanArg(t, td, "origin", &text); text != "" {
		if _, err := fmt.Sscanf(text, "%d/%d/%d", &wire.Origin.Node, &wire.Origin.Nonce, &wire.Origin.Seq); err != nil {
			td.Fatalf(t, "origin: %v", err)
		}
	}
	scanArg(t, td, "time", &wire.Time)
	data, err := Encode(wire)
	if err != nil {
		td.Fatalf(t, "%v", err)
	}
	p, err := DecodeProposal(data)
	if err != nil {
		td.Fatalf(t, "%v", err)
	}
	return p
}

func printOutcome(o Outcome) string {
	if o.Error != "" && o.Passing {
		return o.Error + " (passing)\n"
	}
	if o.Error != "" {
		return o.Error + "\n"
	}
	var b strings.Builder
	b.WriteString("ok")
	if o.Epoch != 0 {
		fmt.Fprintf(&b, " epoch=%d", o.Epoch)
	}
	if o.Bumped {
		b.WriteString(" bumped")
	}
	if o.Intent != 0 {
		fmt.Fprintf(&b, " intent=%d", o.Intent)
	}
	if o.Ended != 0 {
		fmt.Fprintf(&b, " ended=%d", o.Ended)
	}
	b.WriteByte('\n')
	if o.Warning != "" {
		fmt.Fprintf(&b, "warning: %s\n", o.Warning)
	}
	if a := o.Admit; a != nil {
		fmt.Fprintf(&b, "%s cluster=%d meta=%d index=%d", a.Status, a.ClusterID, a.MetaID, a.Index)
		for _, p := range a.Peers {
			fmt.Fprintf(&b, " peer=%d:%d:%s", p.Node, p.MetaID, p.RaftAddr)
		}
		b.WriteByte('\n')
		if a.Text != "" {
			b.WriteString(a.Text + "\n")
		}
	}
	if j := o.Join; j != nil {
		fmt.Fprintf(&b, "brings token=%d node=%d epoch=%d/%d raft<=%d slotepoch=%d\n",
			j.Token, j.Node, j.ConfigEpoch, j.Epoch, j.MaxRaftID, j.SlotEpoch)
		for _, im := range j.Shards {
			fmt.Fprintf(&b, "  shard %d slots %v residue %s\n", im.Shard.ID, im.Slots, im.Residue)
		}
	}
	return b.String()
}

func printState(s *State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %d index=%d epoch=%d slotepoch=%d raftid=%d feature=%d\n",
		s.ClusterID, s.Index, s.Epoch, s.SlotEpoch, s.RaftID, s.Feature)
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "node %d %s epoch=%d meta=%d", n.ID, n.Address.Raft, n.ConfigEpoch, n.MetaID)
		for _, flag := range []struct {
			name string
			set  bool
		}{{"voter", n.MetaVoter}, {"pinned", n.Pinned}, {"failed", n.Failed}} {
			if flag.set {
				b.WriteString(" " + flag.name)
			}
		}
		if n.Follows != 0 {
			fmt.Fprintf(&b, " follows=%d", n.Follows)
		}
		b.WriteByte('\n')
	}
	for _, r := range s.Shards {
		fmt.Fprintf(&b, "shard %d v%d master=%d term=%d members%s leaving%s",
			r.ID, r.Version, r.Master, r.MasterTerm, printMembers(r.Members), printMembers(r.Leaving))
		if r.Unled {
			b.WriteString(" unled")
		}
		b.WriteByte('\n')
		if r.ReportTerm != 0 {
			fmt.Fprintf(&b, "  report %d/%d: voters=%d outgoing=%d\n", r.ReportTerm, r.ReportSeq, r.Voters, r.Outgoing)
		}
	}
	b.WriteString(printSlots(s))
	for _, id := range s.Tombstones {
		fmt.Fprintf(&b, "tombstone %d\n", id)
	}
	for _, token := range s.Tokens {
		fmt.Fprintf(&b, "token %d node=%d %s\n", token.Token, token.Node, token.Status)
	}
	if f := s.Frozen; f != nil {
		fmt.Fprintf(&b, "frozen token=%d target=%s/%d\n", f.Token, f.TargetAddr, f.TargetCluster)
	}
	if f := s.Dissolved; f != nil {
		fmt.Fprintf(&b, "dissolved token=%d target=%s/%d\n", f.Token, f.TargetAddr, f.TargetCluster)
	}
	return b.String()
}

// printMarks prints what a view shows of open slots.
func printMarks(v *topology.View) string {
	var b strings.Builder
	for _, m := range v.Marks {
		fmt.Fprintf(&b, "shard %d slot %d kind %d peer %d\n", m.Group, m.Slot, m.Kind, uint64(m.Peer))
	}
	return b.String()
}

// printMoves prints the shards' data members, and what becomes of slots.
func printMoves(s *State) string {
	var b strings.Builder
	for _, r := range s.Shards {
		fmt.Fprintf(&b, "shard %d master=%d data=", r.ID, r.Master)
		for _, m := range r.Members {
			if m.Kind == topology.Data {
				fmt.Fprintf(&b, "%d ", m.Node)
			}
		}
		fmt.Fprintf(&b, "of %d\n", len(r.Members))
	}
	return b.String() + printSlots(s)
}

func printSlots(s *State) string {
	var b strings.Builder
	for _, run := range s.Slots.Runs() {
		fmt.Fprintf(&b, "slots %d-%d shard=%d epoch=%d\n", run.Start, run.End, run.Group, run.Epoch)
	}
	for _, r := range s.Residue {
		fmt.Fprintf(&b, "residue shard=%d %s\n", r.Group, r.Slots)
	}
	for _, g := range s.Garbage {
		fmt.Fprintf(&b, "garbage shard=%d epoch=%d %s\n", g.Group, g.Epoch, g.Slots)
	}
	for _, m := range s.Marks {
		kind := map[topology.MarkKind]string{topology.Migrating: "migrating to", topology.Importing: "importing from"}[m.Kind]
		fmt.Fprintf(&b, "mark shard=%d slot=%d epoch=%d %s %d\n", m.Group, m.Slot, m.Epoch, kind, m.Peer)
	}
	for _, m := range s.Migrations {
		b.WriteString(printMigration(m))
	}
	for _, in := range s.Intents {
		fmt.Fprintf(&b, "intent %d epoch=%d created=%d slots=%s pending=%d", in.ID, in.Epoch, in.Created, in.Slots, in.Pending)
		if in.To != 0 {
			fmt.Fprintf(&b, " to=%d migration=%d", in.To, uint64(in.Migration))
		}
		b.WriteByte('\n')
	}
	for _, f := range s.Finished {
		fmt.Fprintf(&b, "finished %d %q\n", f.ID, f.Error)
	}
	return b.String()
}

func printMigration(m Migration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "migration %d %s %s slots=%s from=%d/%d to=%d/%d created=%d", uint64(m.ID), m.Face, m.State, m.Slots,
		m.From, uint64(m.Source), m.To, uint64(m.Dest), m.Created)
	for _, field := range []struct {
		name  string
		value int64
	}{{"ended", m.Ended}, {"epoch", int64(m.Epoch)}, {"retries", int64(m.Retries)}, {"paused", m.Paused}} {
		if field.value != 0 {
			fmt.Fprintf(&b, " %s=%d", field.name, field.value)
		}
	}
	if m.Error != "" {
		fmt.Fprintf(&b, " %q", m.Error)
	}
	return b.String() + "\n"
}

func printMembers(members []topology.Member) string {
	var b strings.Builder
	for _, m := range members {
		fmt.Fprintf(&b, " %d:%d:%s", m.Node, m.RaftID, m.Kind)
		if m.Synced {
			b.WriteString(":synced")
		}
	}
	return b.String()
}
