package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	// takeover says that the group went over to another leader meanwhile.
	takeover bool
}

// simRequest is what a client asks a node for on one connection: a command, or those
// of a transaction.
type simRequest struct {
	commands    [][][]byte
	transaction bool
	// watched is what WATCH has seen before the transaction, watching where it leaves it.
	watched, watching *simWatch
}

// simWatch is what a connection watches.
type simWatch struct {
	node    *node
	replica *replica.Replica
	keys    []command.Watched
}

func single(args [][]byte) *simRequest { return &simRequest{commands: [][][]byte{args}} }

// payload is the request as it stands in the log.
func (q *simRequest) payload() (p []byte) {
	if q.transaction {
		var keys []command.Watched
		if q.watched != nil {
			keys = q.watched.keys
		}
		p = command.AppendTransaction(p, keys)
	}
	for _, args := range q.commands {
		p = command.AppendArgs(p, args)
	}
	return p
}

// serve carries out a request as the front end does; held holds the goroutine
// up where that would hurt.
func (n *node) serve(q *simRequest, held func()) simReply {
	writes := false
	var s uint16
	for _, args := range q.commands {
		cmd, err := n.table.Lookup(args)
		if err != nil {
			panic(err)
		}
		writes = writes || cmd.WritesWith(args)
		s, _, _ = cmd.Slot(args)
	}
	shard := n.meta.Current().Owner[s]
	if shard == nil {
		return simReply{refused: true}
	}
	r := n.replicas.Data(shard.ID)
	switch {
	case r == nil || !r.Leads():
		return simReply{refused: true, moved: live{n}.Leader(shard.ID)}
	case q.watched != nil && q.watched.replica != r:
		return simReply{value: "nil"}
	case writes:
		return n.write(r, q)
	}
	if token := r.Lease(); token != 0 {
		answer := outcome(n.read(r, q), nil)
		held()
		if r.LeaseValid(token) {
			return answer
		}
	}
	if err := multiraft.Run(context.Background(), n.sched, new(multiraft.Call), r.Barrier); err != nil {
		return outcome(nil, err)
	}
	return outcome(n.read(r, q), nil)
}

// write has a replica carry out a write.
func (n *node) write(r *replica.Replica, q *simRequest) simReply {
	var reply resp.Reply
	_, before := r.Group().Leader()
	err := multiraft.Run(context.Background(), n.sched, &multiraft.Call{Payload: q.payload(), Result: &reply},
		func(c *multiraft.Call) { r.Submit(c) })
	answer := outcome(&reply, err)
	_, after := r.Group().Leader()
	answer.takeover = err != nil && after != before
	return answer
}

// read has a replica answer a read from its state.
func (n *node) read(r *replica.Replica, q *simRequest) *resp.Reply {
	var reply resp.Reply
	view := &command.View{Reading: command.Reading{MaxString: command.MaxBulkLength}}
	defer view.End()
	if q.transaction {
		r.Exec(q.payload(), view, &reply)
		return &reply
	}
	if w := q.watching; w != nil {
		*w = simWatch{node: n, replica: r}
		view.Watches = &w.keys
	}
	for _, args := range q.commands { // of several, the last one's reply
		reply.Reset(0)
		var words command.Args
		cmd, _ := n.table.Lookup(args)
		words.Set(cmd, args)
		r.Read(&words, view, &reply)
	}
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
	case err != nil, value.IsError() && strings.HasPrefix(string(value.Str), "TRYAGAIN"):
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

// request is what the client asks for.
func (o simOp) request() *simRequest {
	key, other := o.key, "{"+o.key+"}2"
	switch o.args[0] {
	case "set both":
		return together(line("set", key, o.args[2]), line("set", other, o.args[2]))
	case "exchange both":
		return together(line("get", key), line("set", key, o.args[2]), line("set", other, o.args[2]), line("get", other))
	case "get both":
		return together(line("get", key), line("get", other))
	case "incr twice":
		return together(line("incr", key), line("incr", key))
	default:
		return single(line(o.args...))
	}
}

func line(words ...string) (args [][]byte) {
	for _, w := range words {
		args = append(args, []byte(w))
	}
	return args
}

func together(commands ...[][]byte) *simRequest {
	return &simRequest{commands: commands, transaction: true}
}

// simClient is outside of the cluster. It asks one node after the other.
type simClient struct {
	c     *simCluster
	id    int
	known map[string]int // key → the node to ask
	// sentOn is set while a client that was blocked has been sent elsewhere.
	sentOn bool
}

// run does operations until the clients are to stop.
func (cl *simClient) run() {
	c := cl.c
	for i := 0; !c.quiet; i++ {
		sched.Sleep(context.Background(), c.outside, c.upTo(c.think))
		if c.quiet {
			break
		}
		if op := c.randomOp(fmt.Sprintf("%d.%d", cl.id, i)); op.args[0] == "swap" {
			cl.swap(op.key, op.args[2])
		} else {
			cl.do(op, 3)
		}
	}
	c.clients--
}

// do carries out an operation, following redirects, and records it. It reports
// whether the operation was carried out for sure.
func (cl *simClient) do(op simOp, attempts int) bool {
	c := cl.c
	q := op.request()
	begin := c.world.Now()
	for range attempts {
		n := cl.choose(op.key)
		reply := cl.ask(c.nodes[n], q)
		if cl.learn(op.key, n, reply); reply.refused {
			continue
		}
		c.record(cl, op, begin, reply, n)
		return !reply.unknown
	}
	return false
}

// choose returns the node to ask about a key.
func (cl *simClient) choose(key string) int {
	if cl.c.chance(250) {
		return cl.c.rng.Intn(len(cl.c.nodes)) // not everybody knows who leads
	}
	return cl.known[key]
}

// learn takes from a node's reply whom to ask next.
func (cl *simClient) learn(key string, n int, reply simReply) {
	c := cl.c
	switch {
	case reply.refused:
		cl.known[key] = c.rng.Intn(len(c.nodes))
		if to := c.byID(reply.moved); to != nil && to.index != n {
			cl.known[key] = to.index
		}
	case reply.unknown:
		cl.known[key] = c.rng.Intn(len(c.nodes))
	}
}

// swap watches a key, reads it, and sets it some time later if it is still the same. In
// the history these are a read, and a comparison that sets.
func (cl *simClient) swap(key, value string) {
	c := cl.c
	n := cl.choose(key)
	watch := new(simWatch)
	begin := c.world.Now()
	reply := cl.ask(c.nodes[n], &simRequest{commands: [][][]byte{line("watch", key), line("get", key)}, watching: watch})
	if cl.learn(key, n, reply); reply.refused || reply.unknown {
		return
	}
	seen := reply.value
	c.record(cl, simOp{key, []string{"get", key}}, begin, reply, n)
	sched.Sleep(context.Background(), c.outside, c.upTo(c.think))
	begin = c.world.Now()
	q := together(line("set", key, value), line("get", key))
	q.watched = watch
	reply = cl.ask(c.nodes[n], q)
	if cl.learn(key, n, reply); !reply.refused {
		c.record(cl, simOp{key, []string{"swap", key, value, seen}}, begin, reply, n)
	}
}

// ask sends a command to a node and waits for the reply. The client's patience
// decides how many others are stuck at a node that answers nobody.
func (cl *simClient) ask(n *simNode, q *simRequest) (reply simReply) {
	switch cl.c.request(n, 30*time.Millisecond+cl.c.upTo(300*time.Millisecond), func(node *node) {
		if node.home.Identity().Cluster != cl.c.cluster {
			reply = simReply{refused: true} // it has left, and may own slots of its own
			return
		}
		if q.watched != nil && q.watched.node != node {
			reply = simReply{refused: true} // the connection has ended with the process
			return
		}
		reply = node.serve(q, func() {
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
	if reply.takeover && q.transaction {
		cl.c.stats.takeovers++
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
		if op.reads() {
			return
		}
		o.Output, o.Return = nil, open
		c.stats.unknown++
	} else {
		c.stats.done++
		if op.args[0] == "swap" {
			if reply.value == "nil" {
				c.stats.swapsFailed++
			} else {
				c.stats.swaps++
			}
		}
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
	case resp.KindNull, resp.KindNullArray:
		return "nil"
	case resp.KindArray:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, text(e))
		}
		return strings.Join(parts, " ")
	default:
		return string(v.Str)
	}
}

// register is what a key is, or two that only ever change together: a text, "" if
// there is none.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		op := input.(simOp)
		if op.args[0] == "swap" {
			return op.swap(state.(string), output)
		}
		next, want := op.apply(state.(string))
		return output == nil || output == want, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v = %v", input, output) },
}

func (o simOp) reads() bool { return o.args[0] == "get" || o.args[0] == "get both" }

// apply returns the key's next state and the reply.
func (o simOp) apply(state string) (next, reply string) {
	n, _ := strconv.Atoi(state)
	switch o.args[0] {
	case "set":
		if len(o.args) == 3 {
			return o.args[2], "OK"
		}
		return o.args[2], orNil(state) // with GET
	case "set both":
		return o.args[2], "OK OK"
	case "exchange both":
		return o.args[2], orNil(state) + " OK OK " + o.args[2]
	case "get both":
		return state, orNil(state) + " " + orNil(state)
	case "del":
		if state == "" {
			return "", "0"
		}
		return "", "1"
	case "incr":
		return strconv.Itoa(n + 1), strconv.Itoa(n + 1)
	case "incr twice":
		return strconv.Itoa(n + 2), fmt.Sprint(n+1, n+2)
	default:
		return state, orNil(state)
	}
}

// swap is a step of the model: the key is set if it is still what the client has seen.
// One that failed says nothing, as somebody may have changed the key and changed it back.
func (o simOp) swap(state string, output any) (ok bool, next string) {
	value, seen := o.args[2], o.args[3]
	switch {
	case output == "nil":
		return true, state
	case orNil(state) == seen:
		return output == nil || output == "OK "+value, value
	default:
		return output == nil, state
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
	n := c.rng.Intn(10)
	op := func(name string, values ...string) simOp { return simOp{key, append([]string{name, key}, values...)} }
	switch kind := key[0]; {
	case kind == 'p' && n < 4:
		return op("get both")
	case kind == 'p' && n < 6:
		return op("exchange both", unique)
	case kind == 'p':
		return op("set both", unique)
	case n < 4:
		return op("get")
	case n < 5 && !c.shape.contest:
		return op("del")
	case kind == 'c' && n < 7:
		return op("incr twice")
	case kind == 'c':
		return op("incr")
	case n < 6:
		return op("set", unique, "get")
	case n < 8:
		return op("swap", unique)
	default:
		return op("set", unique)
	}
}
