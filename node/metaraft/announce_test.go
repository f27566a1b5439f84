package metaraft

import (
	"testing"
)

// TestAnnounce: a changed address shows on every node as soon as it is acknowledged;
// one that is refused is not announced later.
func TestAnnounce(t *testing.T) {
	w := newWorld(t, 21)
	nodes := w.bootCluster(3)
	one := nodes[1].running()
	address := one.Address()
	address.Host, address.Port, address.Hostname, address.Nodename = "10.9.8.7", 7777, "one.example", "rack-1"
	w.must(one.Announce(t.Context(), address))
	for _, n := range nodes {
		if got := n.view().Node(one.self()).Address; got != address {
			t.Errorf("after OK a node shows %+v", got)
		}
	}
	w.must(nodes[2].running().SetEndpointType(t.Context(), "hostname"))
	for _, n := range nodes {
		if got := n.view().EndpointType; got != "hostname" {
			t.Errorf("after OK a node prefers %q", got)
		}
	}
	w.setFault(func(*simNode, uint8) fault { return fault{unreachable: true} })
	for _, n := range nodes {
		if n != nodes[1] {
			n.kill()
		}
	}
	refused := address
	refused.Port = 8888
	if err := one.Announce(t.Context(), refused); err == nil {
		t.Fatal("OK without a majority")
	}
	w.setFault(nil)
	for _, n := range nodes {
		if n != nodes[1] {
			n.start()
		}
	}
	w.eventually("what was announced before", func() bool {
		v := nodes[0].view()
		return v.Quorum && v.Node(one.self()).Address == address
	})
}
