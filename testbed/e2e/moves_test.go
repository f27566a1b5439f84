package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A node dies at one step of a migration of slots, at either side, and comes back, while a
// client writes: the slots arrive with every write that was acknowledged, and nothing is
// left behind.
func TestCrashPointsOfMigrations(t *testing.T) {
	t.Parallel()
	for _, at := range slices.Concat(
		at(0, "watchBegin", "sealBegin", "sealWritten", "unwatchBegin", "dropBegin", "dropDone"),
		at(2, "importBegin", "importBegun", "pieceBegin", "pieceTaken", "handOverBegin", "handOverBegun",
			"completeBegin", "completed", "ownBegin", "endImportBegin"),
	) {
		t.Run(fmt.Sprintf("%s of node %d", at.point, at.node), func(t *testing.T) {
			t.Parallel()
			m := startMoving(t)
			m.nodes[at.node].arm(at.point, "panic")
			_ = m.nodes[2].client.Do(context.Background(), "cluster", "migration", "import", 0, movedSlots-1).Err()
			eventually(t, func() error {
				m.write()
				if !m.nodes[at.node].down() {
					return fmt.Errorf("node %d did not come by %s", at.node, at.point)
				}
				return nil
			})
			m.nodes[at.node].kill()
			m.nodes[at.node].mustStart("")
			m.arrive()
			m.check()
		})
	}
}

// movedSlots is how many slots move, from 0 on.
const movedSlots = 200

// moving is a cluster of two shards: node 0 and its replica 1, node 2 and its replica 3.
type moving struct {
	*fleet
	t      *testing.T
	client *redis.ClusterClient
	keys   []string
	tried  map[string]int
	acked  map[string]int
}

func startMoving(t *testing.T) *moving {
	m := &moving{fleet: startFleet(t, 4), t: t, tried: make(map[string]int), acked: make(map[string]int)}
	for i := 1; i < 4; i++ {
		m.meets(i, 0)
	}
	m.nodes[0].must("cluster", "addslotsrange", 0, 8191)
	m.nodes[2].must("cluster", "addslotsrange", 8192, 16383)
	m.nodes[1].must("cluster", "replicate", m.nodes[0].must("cluster", "myid"))
	m.nodes[3].must("cluster", "replicate", m.nodes[2].must("cluster", "myid"))
	m.united()
	m.settle()
	m.client = m.clusterClient()
	t.Cleanup(func() { _ = m.client.Close() })
	for i := 0; len(m.keys) < 100; i++ {
		key := fmt.Sprint("key", i)
		if slot := m.client.ClusterKeySlot(context.Background(), key).Val(); slot < movedSlots {
			m.keys = append(m.keys, key)
		}
	}
	m.write()
	return m
}

// write counts each key up.
func (m *moving) write() {
	for _, key := range m.keys {
		m.tried[key]++
		if m.client.Set(context.Background(), key, m.tried[key], 0).Err() == nil {
			m.acked[key] = m.tried[key]
		}
	}
}

// arrive waits until the slots are the second shard's, and asks for that again if nothing
// goes on.
func (m *moving) arrive() {
	eventually(m.t, func() error {
		m.write()
		maps, err := m.settledMaps()
		if err != nil {
			return err
		}
		for _, own := range maps {
			for slot := range movedSlots {
				if own.owner[slot] != own.owner[16383] {
					for _, n := range []int{2, 3} {
						_ = m.nodes[n].client.Do(context.Background(), "cluster", "migration", "import", 0, movedSlots-1).Err()
					}
					return fmt.Errorf("slot %d has not arrived:\n%s", slot, own.text)
				}
			}
		}
		return nil
	})
}

// check looks at every key, and at what the nodes say of migrations.
func (m *moving) check() {
	for _, key := range m.keys {
		eventually(m.t, func() error {
			value, err := m.client.Get(context.Background(), key).Int()
			if err == nil && (value < m.acked[key] || value > m.tried[key]) {
				m.t.Fatalf("%s is %d, and %d was acknowledged", key, value, m.acked[key])
			}
			return err
		})
	}
	eventually(m.t, func() error {
		for slot := range movedSlots {
			for _, n := range []int{0, 1} {
				if left, err := m.nodes[n].client.ClusterCountKeysInSlot(context.Background(), slot).Result(); err != nil || left > 0 {
					return fmt.Errorf("node %d has %d keys of slot %d left (%v)", n, left, slot, err)
				}
			}
		}
		return nil
	})
}
