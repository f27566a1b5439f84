package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/node/slot"
)

// form brings the six nodes together in one of the orders in which tools and
// harnesses do it, and gives the stayers their fixed slots.
func (s *storm) form() {
	orders := []func(){s.formLikeCreate, s.formStar, s.formInvited, s.formChain, s.formIslands, s.formIslandsWithSlots}
	orders[s.seed%uint64(len(orders))]()
}

// addFixed gives a stayer its fixed slots.
func (s *storm) addFixed(node int) {
	s.nodes[node].must("cluster", "addslotsrange", fixedSlot(node), fixedSlot(node)+fixed-1)
}

func (s *storm) addAllFixed() {
	for i := range stayers {
		s.addFixed(i)
	}
}

// meetAll runs MEETs (who, whom) at once; each has to succeed.
func (s *storm) meetAll(pairs ...[2]int) {
	var wg sync.WaitGroup
	for _, pair := range pairs {
		wg.Go(func() {
			client := s.nodes[pair[0]].connect()
			defer func() { _ = client.Close() }()
			err := client.Do(context.Background(), "cluster", "meet", "127.0.0.1", s.nodes[pair[1]].port).Err()
			if err != nil {
				s.t.Errorf("node %d meets node %d: %v", pair[0], pair[1], err)
			}
		})
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// formLikeCreate: slots, then config epochs, then back-to-back MEETs to the
// first node.
func (s *storm) formLikeCreate() {
	s.addAllFixed()
	for i, p := range s.nodes {
		p.must("cluster", "set-config-epoch", i+1)
	}
	for _, p := range s.nodes[1:] {
		p.must("cluster", "meet", "127.0.0.1", s.nodes[0].port)
	}
}

// formStar: everybody meets node 0 at once, itself included; slots right after.
func (s *storm) formStar() {
	s.meetAll([2]int{0, 0}, [2]int{1, 0}, [2]int{2, 0}, [2]int{3, 0}, [2]int{4, 0}, [2]int{5, 0})
	s.addAllFixed()
}

// formInvited: node 0 meets fresh nodes; slots afterwards.
func (s *storm) formInvited() {
	s.meetAll([2]int{0, 1}, [2]int{0, 2}, [2]int{0, 3}, [2]int{0, 4}, [2]int{0, 5})
	s.addAllFixed()
}

// formChain: each adds its slots, then meets the one before.
func (s *storm) formChain() {
	for i := range s.nodes {
		if i < stayers {
			s.addFixed(i)
		}
		if i > 0 {
			s.meetAll([2]int{i, i - 1})
		}
	}
}

// formIslands: pairs meet at once, then the pairs meet in a circle.
func (s *storm) formIslands() {
	s.meetAll([2]int{0, 1}, [2]int{2, 3}, [2]int{5, 4})
	s.meetAll([2]int{1, 2}, [2]int{3, 4}, [2]int{5, 0})
	s.addAllFixed()
}

// formIslandsWithSlots: of the islands that meet, one owns slots, one has a
// replica, and a lone node with slots comes along.
func (s *storm) formIslandsWithSlots() {
	s.addFixed(0)
	s.addFixed(1)
	s.meetAll([2]int{0, 2}, [2]int{3, 4})
	s.nodes[3].must("cluster", "replicate", s.nodes[4].must("cluster", "myid"))
	s.meetAll([2]int{4, 2}, [2]int{1, 0}, [2]int{3, 5})
	s.addFixed(2)
	m := s.united()
	if three, four := s.nodes[3].must("cluster", "myid"), s.nodes[4].must("cluster", "myid"); m.lines[three].master != four {
		s.t.Errorf("node 3 was a replica of node 4 before their island met another one, and is not now:\n%s", m.text)
	}
}

// repair makes one cluster of all nodes again, with all slots, and has every
// node say that it is well.
func (s *storm) repair() {
	for x := stayers; x < stormNodes; x++ {
		s.bringHome(x)
	}
	maps := s.settle()
	for id := range maps[0].lines {
		if !slices.Contains(s.currentIDs(), id) {
			s.nodes[0].must("cluster", "forget", id)
		}
	}
	m := s.united()
	var missing []any
	for n := range slot.Count {
		if _, ok := m.owner[n]; !ok {
			missing = append(missing, n)
		}
	}
	// The stayer may have handed its shard to a replica.
	for _, p := range s.nodes {
		if !m.lines[p.must("cluster", "myid")].replica() {
			p.must(append([]any{"cluster", "addslots"}, missing...)...)
			break
		}
	}
	for _, p := range s.nodes {
		eventually(s.t, func() error {
			info, err := p.ask("cluster", "info")
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				err = fmt.Errorf("node %d: %s", p.index, info)
			}
			return err
		})
	}
	s.serve()
	s.united()
}

// bringHome makes node x a member of the stayers' cluster if it is none. What
// it owns may be owned there too: then it comes with nothing.
func (s *storm) bringHome(x int) {
	p := s.nodes[x]
	meet := func() error {
		return p.client.Do(context.Background(), "cluster", "meet", "127.0.0.1", s.nodes[0].port).Err()
	}
	if err := meet(); err != nil {
		s.t.Logf("node %d comes home empty: %v", x, err)
		p.must("cluster", "reset", "soft")
		if err := meet(); err != nil {
			s.t.Errorf("node %d meets node 0: %v", x, err)
		}
	}
}

func (s *storm) currentIDs() []string {
	ids := make([]string, len(s.nodes))
	for i, p := range s.nodes {
		ids[i] = p.must("cluster", "myid")
	}
	return ids
}

// serve has every shard take a write and answer a read.
func (s *storm) serve() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.nodes[0].client.Options().Addr}, MaxRedirects: 8})
	defer func() { _ = client.Close() }()
	for n := range 60 {
		key := fmt.Sprintf("key:%d", n)
		eventually(s.t, func() error { return client.Set(context.Background(), key, n, 0).Err() })
		eventually(s.t, func() error {
			got, err := client.Get(context.Background(), key).Int()
			if err == nil && got != n {
				s.t.Errorf("%s = %d after SET %d", key, got, n)
			}
			return err
		})
	}
}
