package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// simReply is what a client gets.
type simReply struct {
	value string
	// refused says that the command was certainly not carried out; then moved
	// is whom to ask, if anybody is known. unknown: perhaps it was.
	refused, unknown bool
	moved            topology.NodeID
}

// serve carries out a command as the front end does; held holds the goroutine
// up where that would hurt.
func (n *node) serve(args [][]byte, held func()) simReply {
	cmd, err := n.table.Lookup(args)
	if err != nil {
		panic(err)
	}
	s, _, _ := cmd.Slot(args)
	shard := n.meta.Current().Owner[s]
	if shard == nil {
		return simReply{refused: true}
	}
	r := n.replicas.Data(shard.ID)
	if r == nil || !r.Leads() {
		return simReply{refused: true, moved: live{n}.Leader(shard.ID)}
	}
	if cmd.Read == nil {
		return n.write(r, args)
	}
	if token := r.Lease(); token != 0 {
		answer := outcome(simRead(r, cmd, args), nil)
		held()
		if r.LeaseValid(token) {
			return answer
		}
	}
	if err := multiraft.Run(context.Background(), n.sched, new(multiraft.Call), r.Barrier); err != nil {
		return outcome(nil, err)
	}
	return outcome(simRead(r, cmd, args), nil)
}

// write has a replica carry out a write.
func (n *node) write(r *replica.Replica, args [][]byte) simReply {
	var reply resp.Reply
	err := multiraft.Run(context.Background(), n.sched, &multiraft.Call{Payload: command.AppendArgs(nil, args), Result: &reply},
		func(c *multiraft.Call) { r.Submit(c) })
	return outcome(&reply, err)
}

func simRead(r *replica.Replica, cmd *command.Command, args [][]byte) *resp.Reply {
	var reply resp.Reply
	var words command.Args
	words.Set(cmd, args)
	r.Read(&words, &command.View{Reading: command.Reading{MaxString: command.MaxBulkLength}}, &reply)
	return &reply
}

func outcome(reply *resp.Reply, err error) simReply {
	var value resp.Value
	if err == nil {
		if value, err = resp.Parse(reply.Bytes()); err != nil {
			panic(err)
		}
	}
	switch {
	case errors.Is(err, multiraft.ErrUncertain):
		return simReply{unknown: true}
	case err != nil, value.IsError() && string(value.Str[:8]) == "TRYAGAIN":
		return simReply{refused: true}
	}
	return simReply{value: text(value)}
}

// simOp is one operation of a client on one key.
type simOp struct {
	key  string
	args []string
}

func (o simOp) String() string { return fmt.Sprint(o.args) }

func (o simOp) bytes() (args [][]byte) {
	for _, a := range o.args {
		args = append(args, []byte(a))
	}
	return args
}

// simClient is outside of the cluster. It asks one node after the other.
type simClient struct {
	c     *simCluster
	id    int
	known map[string]int // key → the node to ask
}

// run does operations until the clients are to stop.
func (cl *simClient) run() {
	c := cl.c
	for i := 0; !c.quiet; i++ {
		sched.Sleep(context.Background(), c.outside, c.upTo(c.think))
		if !c.quiet {
			cl.do(c.randomOp(fmt.Sprintf("%d.%d", cl.id, i)), 3)
		}
	}
	c.clients--
}

// do carries out an operation, following redirects, and records it. It reports
// whether the operation was carried out for sure.
func (cl *simClient) do(op simOp, attempts int) bool {
	c := cl.c
	args := op.bytes()
	begin := c.world.Now()
	for range attempts {
		n := cl.known[op.key]
		if c.chance(250) {
			n = c.rng.Intn(len(c.nodes)) // not everybody knows who leads
		}
		reply := cl.ask(c.nodes[n], args)
		if reply.refused {
			cl.known[op.key] = c.rng.Intn(len(c.nodes))
			if to := c.byID(reply.moved); to != nil && to.index != n {
				cl.known[op.key] = to.index
			}
			continue
		}
		if reply.unknown {
			cl.known[op.key] = c.rng.Intn(len(c.nodes))
		}
		c.record(cl, op, begin, reply, n)
		return !reply.unknown
	}
	return false
}

// ask sends a command to a node and waits for the reply. The client's patience
// decides how many others are stuck at a node that answers nobody.
func (cl *simClient) ask(n *simNode, args [][]byte) (reply simReply) {
	switch cl.c.request(n, 30*time.Millisecond+cl.c.upTo(300*time.Millisecond), func(node *node) {
		if node.home.Identity().Cluster != cl.c.cluster {
			reply = simReply{refused: true} // it has left, and may own slots of its own
			return
		}
		reply = node.serve(args, func() {
			if cl.c.chance(50) {
				sched.Sleep(context.Background(), node.sched, cl.c.upTo(150*time.Millisecond))
			}
		})
	}) {
	case requestRefused:
		return simReply{refused: true}
	case requestLost:
		return simReply{unknown: true}
	}
	return reply
}

// What became of a request.
type requestEnd int

const (
	requestAnswered requestEnd = iota
	requestRefused             // nobody listens there
	requestLost                // no answer: it may have been carried out
)

// request has a node's process do something, as if a client had asked for it.
// Only goroutines of the outside process may call it.
func (c *simCluster) request(n *simNode, timeout time.Duration, fn func(*node)) (end requestEnd) {
	done := make(chan struct{})
	finish := func(e requestEnd) func() {
		return func() {
			end = e
			close(done)
			c.outside.Wake()
		}
	}
	latency := func() time.Duration { return 50*time.Microsecond + c.upTo(500*time.Microsecond) }
	c.world.After(latency(), func() {
		if !n.up() {
			c.world.After(latency(), finish(requestRefused))
			return
		}
		node := n.node
		n.proc.Go("client", func() {
			fn(node)
			c.world.After(latency(), finish(requestAnswered))
		})
	})
	if sched.Wait(c.outside, c.outside.Now().Add(timeout), done) == sched.Timeout {
		return requestLost
	}
	return end
}

// record adds an operation to the history. A read without a reply says nothing.
func (c *simCluster) record(cl *simClient, op simOp, begin time.Time, reply simReply, n int) {
	o := porcupine.Operation{
		ClientId: cl.id, Input: op, Call: begin.UnixNano(), Output: reply.value, Return: c.world.Now().UnixNano(),
	}
	if reply.unknown {
		if op.args[0] == "get" {
			return
		}
		o.Output, o.Return = nil, open
		c.stats.unknown++
	} else {
		c.stats.done++
	}
	c.note("client %d at node %d: %v = %v", cl.id, n, op, o.Output)
	c.history[op.key] = append(c.history[op.key], o)
}

// open is the end of an operation whose outcome the client does not know: it may
// take effect at any later time.
const open = int64(1) << 62

func text(v resp.Value) string {
	switch v.Kind {
	case resp.KindInt:
		return strconv.FormatInt(v.Int, 10)
	case resp.KindNull:
		return "nil"
	default:
		return string(v.Str)
	}
}

// register is what a key is: a text, "" if there is none.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		next, want := input.(simOp).apply(state.(string))
		return output == nil || output == want, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v = %v", input, output) },
}

// apply returns the key's next state and the reply.
func (o simOp) apply(state string) (next, reply string) {
	switch o.args[0] {
	case "set":
		if len(o.args) == 3 {
			return o.args[2], "OK"
		}
		return o.args[2], orNil(state) // with GET
	case "del":
		if state == "" {
			return "", "0"
		}
		return "", "1"
	case "incr":
		n, _ := strconv.Atoi(state)
		return strconv.Itoa(n + 1), strconv.Itoa(n + 1)
	default:
		return state, orNil(state)
	}
}

func orNil(s string) string {
	if s == "" {
		return "nil"
	}
	return s
}

// randomOp returns an operation that no other is like, reads and deletions
// apart.
func (c *simCluster) randomOp(unique string) simOp {
	key := c.keys[c.rng.Intn(len(c.keys))]
	counter := key[0] == 'c'
	switch n := c.rng.Intn(10); {
	case n < 4:
		return simOp{key, []string{"get", key}}
	case n < 5 && !c.shape.contest:
		return simOp{key, []string{"del", key}}
	case counter:
		return simOp{key, []string{"incr", key}}
	case n < 6:
		return simOp{key, []string{"set", key, unique, "get"}}
	default:
		return simOp{key, []string{"set", key, unique}}
	}
}
