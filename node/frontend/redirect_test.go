package frontend

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// TestRedirects drives a node through testdata/redirects.txt:
//
//	cluster self=ID nodes=COUNT    the shards, one a line:
//	  shard ID master=ID data=ID,… arbiters=ID,… slots=A-B
//	node own=SHARD leads=BOOL      the replica that the node holds (0: none)
//	live SHARD=LEADER …            what the node knows of the groups' leaders
//	failed ID …, suspect ID …      what MetaRaft, and what the node, says of others
//	unled SHARD …                  what MetaRaft says of shards
//	hostname ID=NAME …             what nodes announce besides their addresses
//	send                           a pipeline on a connection that stays
//	connect                        a new connection
func TestRedirects(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	datadriven.RunTest(t, "testdata/redirects.txt", func(t *testing.T, d *datadriven.TestData) string {
		c.t = t
		switch d.Cmd {
		case "cluster":
			var self, nodes int
			d.ScanArgs(t, "self", &self)
			d.ScanArgs(t, "nodes", &nodes)
			var shards []*topology.Shard
			for line := range strings.Lines(d.Input) {
				shards = append(shards, parseShard(t, strings.Fields(line)))
			}
			f.node.view.Store(buildView(topology.NodeID(self), nodes, shards...))
		case "node":
			var own uint64
			var leads bool
			d.ScanArgs(t, "own", &own)
			d.ScanArgs(t, "leads", &leads)
			f.node.shard.Store(own)
			f.node.own.leads.Store(leads)
		case "live":
			f.node.leaders.Clear()
			for _, arg := range d.CmdArgs {
				f.node.leaders.Store(topology.GroupID(number(t, arg.Key)), topology.NodeID(number(t, arg.Vals[0])))
			}
		case "failed":
			for _, arg := range d.CmdArgs {
				f.node.view.Load().Node(topology.NodeID(number(t, arg.Key))).Failed = true
			}
		case "unled":
			for _, arg := range d.CmdArgs {
				f.node.view.Load().Shard(topology.GroupID(number(t, arg.Key))).Unled = true
			}
		case "suspect":
			f.node.suspects.Clear()
			for _, arg := range d.CmdArgs {
				f.node.suspects.Store(topology.NodeID(number(t, arg.Key)), nil)
			}
		case "hostname":
			for _, arg := range d.CmdArgs {
				f.node.view.Load().Node(topology.NodeID(number(t, arg.Key))).Address.Hostname = arg.Vals[0]
			}
		case "send":
			return strings.Join(c.do(strings.Split(d.Input, "\n")...), "\n") + "\n"
		case "connect":
			c = f.dial()
		default:
			t.Fatalf("unknown directive %s", d.Cmd)
		}
		return ""
	})
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parseShard(t *testing.T, words []string) *topology.Shard {
	t.Helper()
	s := &topology.Shard{ID: topology.GroupID(number(t, words[1]))}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "master":
			s.Master = topology.NodeID(number(t, value))
		case "slots":
			var r slot.Range
			if _, err := fmt.Sscanf(value, "%d-%d", &r.Start, &r.End); err != nil {
				t.Fatal(err)
			}
			s.Slots.AddRange(r)
		case "data", "arbiters":
			kind := topology.Data
			if key == "arbiters" {
				kind = topology.Arbiter
			}
			for id := range strings.SplitSeq(value, ",") {
				s.Members = append(s.Members, topology.Member{Node: topology.NodeID(number(t, id)), Kind: kind})
			}
		default:
			t.Fatalf("unknown word %s", word)
		}
	}
	return s
}
