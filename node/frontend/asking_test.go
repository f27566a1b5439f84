package frontend

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// mark opens the slot of key on this node's shard, in the view and in its state. The view is
// that of a shard that has all slots, this node's or the other one.
func (m *mover) mark(owner topology.GroupID, key string, kind topology.MarkKind) {
	m.epoch++
	var one slot.Set
	one.Add(slot.Of([]byte(key)))
	v := m.view(owner, 0)
	if kind != topology.Stable {
		v.Marks = []topology.Mark{{Group: 10, Slot: slot.Of([]byte(key)), Kind: kind, Peer: 2, Epoch: m.epoch}}
	}
	m.node.show(v)
	m.node.own.log(shard.AppendMark(nil, one, shard.Mark(kind), m.epoch))
}

const tryAgain = "-TRYAGAIN Multiple keys request during rehashing of slot"

// A slot that is being moved away is served as far as its keys are here; the rest is asked
// for where it goes.
func TestMigratingSlot(t *testing.T) {
	m := startMover(t)
	c := m.dial()
	c.want([]string{"MSET {k}1 a {k}2 b", "RPUSH {k}list x"}, "OK", ":1")
	m.mark(10, "k", topology.Migrating)
	ask := fmt.Sprintf("-ASK %d 10.0.0.2:7002", slot.Of([]byte("k")))
	c.want([]string{"GET {k}1", "SET {k}1 c", "MGET {k}1 {k}2", "GET {k}no", "SET {k}no x", "MGET {k}no {k}nope", "MGET {k}1 {k}no", "DEL {k}no", "DEL {k}1 {k}no"},
		"a", "OK", "[c b]", ask, ask, ask, tryAgain, ask, tryAgain)
	c.want([]string{"BLPOP {k}list 0", "BLPOP {k}list 0", "BLPOP {k}1 {k}list 0", "GET other"}, "[{k}list x]", ask, tryAgain, "(nil)")
	c.want([]string{"MULTI", "GET {k}1", "SET {k}2 d", "EXEC"}, "OK", "QUEUED", "QUEUED", "[c OK]")
	c.want([]string{"MULTI", "GET {k}1", "SET {k}no d", "EXEC", "MULTI", "SET {k}no d", "EXEC", "MULTI", "GET {k}no", "EXEC"},
		"OK", "QUEUED", "QUEUED", tryAgain, "OK", "QUEUED", ask, "OK", "QUEUED", ask)
	c.want([]string{"ASKING", "GET {k}no", "READONLY", "GET {k}no"}, "OK", ask, "OK", ask)
	m.node.own.leads.Store(false)
	c.want([]string{"GET {k}2", "GET {k}no"}, "d", ask)
	m.node.own.leads.Store(true)
	m.mark(10, "k", topology.Stable)
	c.want([]string{"GET {k}no", "SET {k}no x"}, "(nil)", "OK")
}

// A slot that is being imported is for those who ask, command by command.
func TestImportingSlot(t *testing.T) {
	m := startMover(t)
	m.seal()
	m.mark(20, "k", topology.Importing)
	moved := fmt.Sprintf("-MOVED %d 10.0.0.2:7002", slot.Of([]byte("k")))
	c := m.dial()
	c.want([]string{"GET {k}1", "SET {k}1 a", "ASKING", "SET {k}1 a", "GET {k}1", "ASKING", "GET {k}1", "SET {k}1 b"},
		moved, moved, "OK", "OK", moved, "OK", "a", moved)
	c.want([]string{"ASKING", "PING", "GET {k}1", "ASKING", "NOSUCH", "GET {k}1"},
		"OK", "PONG", moved, "OK", "-ERR unknown command 'NOSUCH', with args beginning with: ", moved)
	c.want([]string{"ASKING", "MGET {k}1 {k}2", "ASKING", "MSET {k}1 b {k}2 c", "ASKING", "GET {k}2"}, "OK", tryAgain, "OK", tryAgain, "OK", "(nil)")
	c.want([]string{"ASKING", "MULTI", "SET {k}1 b", "GET {k}1", "EXEC", "GET {k}1"}, "OK", "OK", "QUEUED", "QUEUED", "[OK b]", moved)
	c.want([]string{"MULTI", "ASKING", "SET {k}1 b", "EXEC"}, "OK", "QUEUED", moved, "-EXECABORT Transaction discarded because of previous errors.")
	c.want([]string{"ASKING", "RPUSH {k}list x", "ASKING", "BLPOP {k}list 0"}, "OK", ":1", "OK", "[{k}list x]")
	c.want([]string{"RESTORE {k}4 0 junk", "RESTORE-ASKING {k}4 0 junk"}, moved, "-ERR DUMP payload version or checksum are wrong")
	other := fmt.Sprintf("-MOVED %d 10.0.0.2:7002", slot.Of([]byte("x")))
	c.want([]string{"ASKING", "GET x"}, "OK", other)
	m.mark(20, "k", topology.Stable)
	c.want([]string{"ASKING", "GET {k}1"}, "OK", moved)
}
