package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestAnnouncedAddressesAreLive: CONFIG SET of what a node announces shows on every
// node as soon as it is acknowledged, and ends with the process.
func TestAnnouncedAddressesAreLive(t *testing.T) {
	f := startFleet(t, 3)
	f.formShards()
	one := f.nodes[1]
	id := one.must("cluster", "myid")
	shown := func(p *process) string {
		for line := range strings.Lines(p.must("cluster", "nodes")) {
			if fields := strings.Fields(line); fields[0] == id {
				return fields[1]
			}
		}
		return ""
	}
	everywhere := func(want string) {
		t.Helper()
		for _, p := range f.nodes {
			if got := shown(p); got != want {
				t.Errorf("node %d shows %s, want %s", p.index, got, want)
			}
		}
	}
	before := shown(one)
	one.must("config", "set", "cluster-announce-ip", "10.1.2.3", "cluster-announce-port", "7777", "cluster-announce-hostname", "one.example")
	everywhere("10.1.2.3:7777@17777,one.example")
	err := one.client.Do(context.Background(), "config", "set", "cluster-announce-port", "7778", "cluster-announce-hostname", "bad_host!").Err()
	if err == nil || !strings.HasSuffix(err.Error(), "Hostnames may only contain alphanumeric characters, hyphens or dots") {
		t.Errorf("bad_host!: %v", err)
	}
	everywhere("10.1.2.3:7777@17777,one.example")
	one.must("config", "set", "cluster-announce-bus-port", "5555")
	everywhere("10.1.2.3:7777@5555,one.example")

	// Redirects name what is preferred, on every node as soon as it has applied that; a
	// node without a name has its address.
	f.nodes[2].must("config", "set", "cluster-preferred-endpoint-type", "hostname")
	for key, want := range map[string]string{keyOfShard[1]: "one.example:7777", keyOfShard[2]: fmt.Sprintf("127.0.0.1:%d", f.nodes[2].port)} {
		eventually(t, func() error {
			if err := f.nodes[0].client.Get(context.Background(), key).Err(); err == nil || !strings.HasSuffix(err.Error(), " "+want) {
				return fmt.Errorf("GET %s: %w, want a MOVED to %s", key, err, want)
			}
			return nil
		})
	}
	one.must("config", "set", "cluster-announce-human-nodename", "rack-1")
	if members := f.nodes[2].must("cluster", "metaraft", "members"); !strings.Contains(members, " name=rack-1\n") {
		t.Errorf("METARAFT MEMBERS:\n%s", members)
	}

	one.kill()
	one.mustStart("")
	eventually(t, func() error {
		if got := shown(f.nodes[0]); got != before {
			return fmt.Errorf("after a restart: %s, want %s", got, before)
		}
		return nil
	})
	if kind, err := one.client.ConfigGet(context.Background(), "cluster-preferred-endpoint-type").Result(); err != nil || kind["cluster-preferred-endpoint-type"] != "hostname" {
		t.Errorf("what the cluster prefers, after a restart: %v, %v", kind, err)
	}
}

// TestNodeTimeoutIsLive: CONFIG SET cluster-node-timeout acts.
func TestNodeTimeoutIsLive(t *testing.T) {
	f := startFleet(t, 3)
	f.formShards()
	for _, p := range f.nodes {
		err := p.client.Do(context.Background(), "config", "set", "cluster-node-timeout", "5").Err()
		if err == nil || !strings.Contains(err.Error(), "cluster.node_timeout: 5ms is not between") {
			t.Errorf("5 ms: %v", err)
		}
		p.must("config", "set", "cluster-node-timeout", "600000")
	}
	f.nodes[1].kill()
	// Raft notices that the leader is gone long before, and this is what MetaRaft says.
	eventually(t, func() error {
		if f.nodes[0].client.Set(context.Background(), keyOfShard[0], "v", 0).Err() != nil {
			return fmt.Errorf("the other shards have not settled")
		}
		return nil
	})
	if nodes := f.nodes[0].must("cluster", "nodes"); strings.Contains(nodes, "fail") {
		t.Errorf("failed within ten minutes:\n%s", nodes)
	}
	for _, p := range []*process{f.nodes[0], f.nodes[2]} {
		p.must("config", "set", "cluster-node-timeout", "300")
	}
	eventually(t, func() error {
		if nodes := f.nodes[0].must("cluster", "nodes"); !strings.Contains(nodes, "master,fail ") {
			return fmt.Errorf("not failed:\n%s", nodes)
		}
		return nil
	})
}
