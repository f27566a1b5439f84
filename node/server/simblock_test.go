package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
)

// simQueue is a list that clients push to, and that others wait for.
type simQueue struct {
	key     string
	clients int // that still run
	// pushed is the elements that are there for sure, tried all that were ever sent.
	pushed, tried map[string]bool
	popped        map[string]int // element → the client that got it
	// unknown is how many pops there may have been of which nobody knows.
	unknown int
}

// simBlocked is a client's connection while BLPOP waits, as the node sees it.
type simBlocked struct {
	wake   chan struct{}
	gone   bool // the client has hung up
	pops   bool // a pop is on its way
	waited bool
	got    simReply
}

func newSimQueue(key string) simQueue {
	return simQueue{key: key, pushed: make(map[string]bool), tried: make(map[string]bool), popped: make(map[string]int)}
}

// serveBlocked carries out BLPOP as the front end does; held holds the goroutine up
// where that would hurt.
func (n *node) serveBlocked(b *simBlocked, key string, until time.Time, held func()) simReply {
	args := line("blpop", key, "0")
	cmd, err := n.table.Lookup(args)
	if err != nil {
		panic(err)
	}
	s, _, _ := cmd.Slot(args)
	route := func() (*replica.Replica, simReply) {
		shard := n.meta.Current().Owner[s]
		if shard == nil {
			return nil, simReply{refused: true}
		}
		if r := n.replicas.Data(shard.ID); r != nil && r.Leads() {
			return r, simReply{}
		}
		return nil, simReply{refused: true, moved: live{n}.Leader(shard.ID)}
	}
	r, answer := route()
	if r == nil {
		return answer
	}
	attempt := blocking.Attempt{
		Look: func() (int, int64, bool) {
			var now *replica.Replica
			if now, answer = route(); now != r {
				answer.refused = true
				return 0, 0, true
			}
			var found command.Found
			found, answer = n.lookBlocked(r, cmd, args)
			held()
			return found.Key, found.Elements, answer.refused || answer.unknown
		},
		Gone: func() bool { return b.gone },
		Pop: func(submitted func()) bool {
			b.pops = true
			answer = n.pop(r, args, submitted)
			b.pops = false
			return answer.value != "nil"
		},
	}
	client := r.Blocked().Block(keyspace.TypeList, [][]byte{[]byte(key)}, blocking.Lane{}, func() {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	})
	defer client.Leave()
	for !client.Try(attempt) {
		b.waited = true
		if sched.Wait(n.sched, until, b.wake) == sched.Timeout || b.gone {
			return simReply{value: "nil"}
		}
	}
	return answer
}

// lookBlocked is the look of a client that may wait.
func (n *node) lookBlocked(r *replica.Replica, cmd *command.Command, args [][]byte) (command.Found, simReply) {
	look := func() (command.Found, simReply) {
		view := &command.View{Reading: command.Reading{MaxString: command.MaxBulkLength}}
		defer view.End()
		var words command.Args
		var reply resp.Reply
		words.Set(cmd, args)
		r.Read(&words, view, &reply)
		return view.Found, simReply{refused: reply.Failed()}
	}
	if token := r.Lease(); token != 0 {
		if found, answer := look(); r.LeaseValid(token) {
			return found, answer
		}
	}
	if err := multiraft.Run(context.Background(), n.sched, new(multiraft.Call), r.Barrier); err != nil {
		return command.Found{}, simReply{refused: true}
	}
	return look()
}

func (n *node) pop(r *replica.Replica, args [][]byte, submitted func()) simReply {
	var reply resp.Reply
	err := multiraft.Run(context.Background(), n.sched, &multiraft.Call{Payload: command.AppendArgs(nil, args), Result: &reply},
		func(c *multiraft.Call) {
			r.Submit(c)
			submitted()
		})
	return outcome(&reply, err)
}

// runQueue pushes, or waits for what others push, until the clients are to stop.
func (cl *simClient) runQueue() {
	c := cl.c
	q := &c.queue
	for i := 0; !c.quiet; i++ {
		sched.Sleep(context.Background(), c.outside, c.upTo(c.think))
		switch {
		case c.quiet:
		case cl.id%2 == 0:
			cl.push(fmt.Sprintf("%d.%d", cl.id, i))
		default:
			cl.blpop(20*time.Millisecond+c.upTo(300*time.Millisecond), 10*time.Millisecond+c.upTo(300*time.Millisecond))
		}
	}
	q.clients--
}

// push pushes an element, and reports whether it is there for sure.
func (cl *simClient) push(element string) bool {
	q := &cl.c.queue
	for range 3 {
		n := cl.choose(q.key)
		reply := cl.ask(cl.c.nodes[n], single(line("rpush", q.key, element)))
		if cl.learn(q.key, n, reply); reply.refused {
			continue
		}
		q.tried[element] = true
		if !reply.unknown {
			q.pushed[element] = true
		}
		cl.c.note("client %d pushes %s at node %d, unknown: %v", cl.id, element, n, reply.unknown)
		return !reply.unknown
	}
	return false
}

// blpop waits for an element, in the node for as long as timeout says, and hangs up
// when its patience is at an end. It reports whether it was served.
func (cl *simClient) blpop(timeout, patience time.Duration) bool {
	c := cl.c
	q := &c.queue
	index := cl.choose(q.key)
	n := c.nodes[index]
	b := &simBlocked{wake: make(chan struct{}, 1)}
	latency := 50*time.Microsecond + c.upTo(500*time.Microsecond)
	end := c.request(n, patience, func(node *node) {
		if b.gone || node.home.Identity().Cluster != c.cluster {
			b.got = simReply{refused: true}
			return
		}
		b.got = node.serveBlocked(b, q.key, node.sched.Now().Add(timeout), func() {
			if c.chance(200) {
				sched.Sleep(context.Background(), node.sched, c.upTo(30*time.Millisecond))
			}
		})
	})
	if end == requestLost {
		// From when the node knows that he is gone, nothing is popped for him.
		hungUp := make(chan struct{})
		c.world.After(latency, func() {
			b.gone = true
			select {
			case b.wake <- struct{}{}:
			default:
			}
			if n.up() {
				n.proc.Wake()
			}
			if b.pops || b.got.unknown || b.got.value != "" && b.got.value != "nil" {
				q.unknown++
			}
			close(hungUp)
			c.outside.Wake()
		})
		sched.Wait(c.outside, time.Time{}, hungUp)
		c.note("client %d hangs up at node %d, popping: %v", cl.id, index, b.pops)
		return false
	}
	if end == requestRefused {
		b.got = simReply{refused: true}
	}
	cl.learn(q.key, index, b.got)
	c.note("client %d: BLPOP at node %d: %+v", cl.id, index, b.got)
	switch {
	case b.got.refused:
		if b.waited {
			c.stats.blockedMoved++
			cl.sentOn = true
		}
	case b.got.unknown:
		q.unknown++
	case b.got.value != "nil":
		if b.waited {
			c.stats.blockedServed++
		}
		if cl.sentOn {
			c.stats.blockedServedElsewhere++
			cl.sentOn = false
		}
		cl.popped(strings.TrimPrefix(b.got.value, q.key+" "))
		return true
	}
	return false
}

// popped notes that the client got an element: nobody else did or will.
func (cl *simClient) popped(element string) {
	c := cl.c
	q := &c.queue
	if other, ok := q.popped[element]; ok {
		c.fail("element %s was popped twice, by the clients %d and %d", element, other, cl.id)
	}
	q.popped[element] = cl.id
}

// checkQueue judges what became of the elements: each that was pushed was popped once, is
// there still, or went to a client that does not know. And who waits is woken.
func (c *simCluster) checkQueue(cl *simClient) {
	q := &c.queue
	there := make(map[string]bool)
	for _, element := range c.readQueue(cl) {
		if _, popped := q.popped[element]; popped || there[element] || !q.tried[element] {
			c.fail("element %s is in the list, though it was popped (%v), is there twice (%v) or was never pushed", element, popped, there[element])
		}
		there[element] = true
	}
	missing := 0
	for element := range q.pushed {
		if _, popped := q.popped[element]; !popped && !there[element] {
			missing++
		}
	}
	if missing > q.unknown {
		c.fail("%d elements were popped for nobody: only %d pops are unknown", missing, q.unknown)
	}
	c.checkWoken(cl)
}

// readQueue returns the elements that are in the list.
func (c *simCluster) readQueue(cl *simClient) (elements []string) {
	c.await("an answer to LRANGE", func() bool {
		n := cl.choose(c.queue.key)
		reply := cl.ask(c.nodes[n], single(line("lrange", c.queue.key, "0", "-1")))
		cl.learn(c.queue.key, n, reply)
		elements = strings.Fields(reply.value)
		return !reply.refused && !reply.unknown
	})
	return elements
}

// checkWoken empties the list and waits for one more element, which comes later.
func (c *simCluster) checkWoken(cl *simClient) {
	c.await("the end of the list", func() bool {
		left := len(c.readQueue(cl))
		for range left {
			cl.blpop(time.Second, 10*time.Second) // of which one may pop something and not know
		}
		return left == 0
	})
	served, asked := false, false
	c.outside.Go("waiter", func() {
		waiter := &simClient{c: c, id: -2, known: map[string]int{c.queue.key: cl.known[c.queue.key]}}
		for range 200 {
			asked = true
			if served = waiter.blpop(time.Hour, 10*time.Second); served || c.failure != "" {
				return
			}
		}
	})
	c.await("a client that waits", func() bool { return asked })
	sched.Sleep(context.Background(), c.outside, 20*time.Millisecond)
	last := fmt.Sprint("last", len(c.queue.popped)) // after a script there is another one
	c.await("an answer to RPUSH", func() bool { return cl.push(last) })
	for range 150 { // three seconds: less than the patience of who waits
		if served {
			return
		}
		sched.Sleep(context.Background(), c.outside, 20*time.Millisecond)
	}
	c.fail("a client that is blocked was not woken")
}
