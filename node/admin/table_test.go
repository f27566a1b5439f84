package admin

import (
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

func TestReplyModes(t *testing.T) {
	b := newBench(t)
	var got strings.Builder
	for _, line := range []string{
		"PING", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY OFF", "PING", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON", "PING",
	} {
		b.do(words(t, line))
		if b.Env.Session.SuppressReply() {
			got.WriteByte('-')
		} else {
			got.WriteByte('+')
		}
	}
	if want := "+--+----++"; got.String() != want {
		t.Errorf("replies %s, want %s", got.String(), want)
	}
}

func TestSessionState(t *testing.T) {
	b := newBench(t)
	s := b.Env.Session
	b.do(words(t, "READONLY"))
	b.do(words(t, "ASKING"))
	b.do(words(t, "HELLO 3"))
	if !s.ReadOnly.Load() || !s.Asking || s.Proto() != 3 {
		t.Errorf("ReadOnly %v, Asking %v, Proto %d", s.ReadOnly.Load(), s.Asking, s.Proto())
	}
	b.do(words(t, "RESET"))
	if s.ReadOnly.Load() || s.Asking || s.Proto() != 2 || !s.Authenticated {
		t.Errorf("after RESET: ReadOnly %v, Asking %v, Proto %d, Authenticated %v", s.ReadOnly.Load(), s.Asking, s.Proto(), s.Authenticated)
	}
	b.do(words(t, "CLIENT KILL ID 7 SKIPME no"))
	if !s.CloseAfterReply {
		t.Error("a client that kills itself stays")
	}
}

// TestInfoSections: INFO shows every section, and nothing that could be taken
// for data on an empty node.
func TestInfoSections(t *testing.T) {
	b := newBench(t)
	text := string(b.do(words(t, "INFO")).Str)
	for _, want := range []string{
		"# Server\r\n", "\r\nredis_version:7.2.4\r\n", "\r\naikv_version:1.2.3\r\n", "\r\ntcp_port:7001\r\n",
		"# Clients\r\n", "\r\nmaxclients:100\r\n", "# Memory\r\n", "# Persistence\r\nloading:0\r\n", "# Stats\r\n",
		"# Replication\r\nrole:master\r\n", "# CPU\r\n", "# Cluster\r\ncluster_enabled:1\r\n", "\r\ndb0:keys=3,",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
		t.Error("a line of INFO ends without CR")
	}
	b.node.info.Keys = 0
	if strings.Contains(string(b.do(words(t, "INFO")).Str), "db0:") {
		t.Error("INFO of an empty node mentions db0:")
	}
	if m := processMemory(); m.used == 0 || m.rss < m.used/2 {
		t.Errorf("memory %+v", m)
	}
}

func TestConfigConcurrency(t *testing.T) {
	c := NewConfig(ConfigOptions{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			_ = c.Set(t.Context(), toArgs([]string{"timeout", "5"}))
		}
	}()
	for range 100 {
		c.Get([]byte("*"))
		c.Value("timeout")
	}
	<-done
	if c.Value("timeout") != "5" {
		t.Errorf("timeout is %q", c.Value("timeout"))
	}
}

// Clients are not offered a replica that has yet to receive the data: SLOTS leaves
// it out, and SHARDS says that it loads.
func TestReplicaWithoutDataIsNotOffered(t *testing.T) {
	b := newBench(t)
	offered := func() (bool, string) {
		slots := resp.FormatCLI(b.do(words(t, "CLUSTER SLOTS")), false)
		shards := resp.FormatCLI(b.do(words(t, "CLUSTER SHARDS")), false)
		_, node, _ := strings.Cut(shards, topology.NodeID(3).String())
		_, health, _ := strings.Cut(node, "health")
		return strings.Contains(slots, topology.NodeID(3).String()), strings.Fields(health)[0]
	}
	if in, health := offered(); !in || health != "online" {
		t.Errorf("a synced replica: offered %v, %s", in, health)
	}
	members := b.node.view.Shards[0].Members
	for i := range members {
		members[i].Synced = members[i].Node != 3
	}
	if in, health := offered(); in || health != "loading" {
		t.Errorf("a replica without data: offered %v, %s", in, health)
	}
}

// Every command with subcommands tells of them.
func TestEveryContainerHasHelp(t *testing.T) {
	b := newBench(t)
	for _, c := range b.Table.Commands() {
		if c.Subcommands == nil {
			continue
		}
		reply := b.do(words(t, c.Name+" HELP"))
		if reply.IsError() || len(reply.Elems) < 2*len(c.Subcommands) {
			t.Errorf("%s HELP: %s", c.Name, resp.FormatCLI(reply, false))
		}
	}
}
