package frontend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// TestRedirects drives a node through testdata/redirects.txt:
//
//	cluster self=ID nodes=COUNT    the shards, one a line:
//	  shard ID master=ID data=ID,… arbiters=ID,… slots=A-B
//	node own=SHARD leads=BOOL      the replica that the node holds (0: none),
//	  [age=DURATION] [empty]       how old it is: negative if it has not caught up,
//	                               and whether it has yet to receive its data
//	unsynced ID …                  nodes that do not have their shard's data yet
//	live SHARD=LEADER …            what the node knows of the groups' leaders
//	failed ID …, suspect ID …      what MetaRaft, and what the node, says of others
//	unled SHARD …                  what MetaRaft says of shards
//	hostname ID=NAME …             what nodes announce besides their addresses
//	send                           a pipeline on a connection that stays
//	connect                        a new connection
func TestRedirects(t *testing.T) {
	f := start(t, func(o *Options) { o.MaxStaleness = 10 * time.Second })
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
			age := time.Duration(0)
			if d.HasArg("age") {
				var text string
				d.ScanArgs(t, "age", &text)
				var err error
				if age, err = time.ParseDuration(text); err != nil {
					t.Fatal(err)
				}
			}
			f.node.own.age.Store(int64(age))
			f.node.own.empty.Store(d.HasArg("empty"))
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
		case "unsynced":
			for _, s := range f.node.view.Load().Shards {
				for i, m := range s.Members {
					s.Members[i].Synced = !slices.ContainsFunc(d.CmdArgs, func(a datadriven.CmdArg) bool {
						return topology.NodeID(number(t, a.Key)) == m.Node
					})
				}
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

// A follower does not show a key that has expired by its clock and not by the
// log's yet: it sends the client to the leader, who may end the key's life.
func TestFollowerDoesNotShowExpiredKeys(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"SET k v PX 1000", "SET other v"}, "OK", "OK")
	f.node.view.Store(buildView(1, 2, &topology.Shard{
		ID: 10, Master: 2, Members: []topology.Member{{Node: 1}, {Node: 2}}, Slots: slot.Full(),
	}))
	f.node.own.leads.Store(false)
	c.want([]string{"READONLY", "GET k"}, "OK", "v")
	f.node.own.local.Add(2000)
	c.want([]string{"GET k", "GET other"}, "-MOVED 7629 10.0.0.2:7002", "v")
}
