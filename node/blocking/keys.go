package blocking

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/genuineh/aikv/node/keyspace"
)

// Keys are the keys of one shard that clients are blocked on. Its zero value is ready.
// Begin, Put and Commit are for the goroutine that applies entries; all other methods
// may be called concurrently.
type Keys struct {
	// blocked is how many clients there are, arrivals how many there ever were.
	blocked  atomic.Int64
	arrivals atomic.Uint64

	// The applier's:
	begun uint64   // arrivals as of Begin
	put   []*queue // those whose key was given a value since

	mu     sync.Mutex
	queues map[key][]*queue // one a lane
	all    list.List        // of *Client, in the order of arrival
}

// key is what a queue is for: a client that is blocked on a list does not care for the
// key while it holds something else.
type key struct {
	holds keyspace.Type
	name  string
}

// Lane tells clients that are blocked on the same key and do not care for each other:
// what one takes is there for those of other lanes as well. The zero value is the only
// lane of most keys.
type Lane struct {
	Name string
	// Together: the clients take nothing, so all of them have reason to look at once, and
	// none waits for its turn.
	Together bool
}

// queue is the clients that are blocked on one key, in one lane. Keys.mu guards it.
type queue struct {
	key     key
	lane    Lane
	waiting list.List // of *Client, in the order of arrival
	popping int       // clients whose pop is on its way; they are not in waiting
	// version counts the reasons to look. empty is the version for which a look has
	// found that the key holds nothing.
	version, empty uint64
	// passed are clients that found something here when it was not their turn, and
	// have other keys as well: they are to know when there is nothing any more.
	passed []*Client
	put    bool // it is in Keys.put
}

// Block makes a client wait in a lane for one of the keys to hold something of a type.
// wake is called when Client.Woken becomes true again; it must not block.
func (k *Keys) Block(holds keyspace.Type, names [][]byte, lane Lane, wake func()) *Client {
	c := &Client{keys: k, wake: wake, places: make([]place, 0, len(names))}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.queues == nil {
		k.queues = make(map[key][]*queue)
	}
	k.blocked.Add(1)
	c.arrival = k.arrivals.Add(1)
	c.woken.Store(true) // it has yet to look
	c.element = k.all.PushBack(c)
	for _, name := range names {
		q := k.queue(key{holds, string(name)}, lane)
		p := place{queue: q}
		if last := q.waiting.Back(); last != nil && last.Value == c {
			p.repeated = true
		} else {
			p.element = q.waiting.PushBack(c)
		}
		c.places = append(c.places, p)
	}
	return c
}

// queue returns the queue of a key's lane.
func (k *Keys) queue(of key, lane Lane) *queue {
	for _, q := range k.queues[of] {
		if q.lane == lane {
			return q
		}
	}
	q := &queue{key: of, lane: lane, version: 1}
	k.queues[of] = append(k.queues[of], q)
	return q
}

// Blocked returns how many clients there are.
func (k *Keys) Blocked() int { return int(k.blocked.Load()) }

// Len returns on how many keys they are blocked.
func (k *Keys) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.queues)
}

// Begin begins a stretch of entries. It reports whether anybody waits, so that Put is
// to be called.
func (k *Keys) Begin() bool {
	k.begun = k.arrivals.Load()
	return k.blocked.Load() > 0
}

// Put says that a key was given a value.
func (k *Keys) Put(name []byte, holds keyspace.Type) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, q := range k.queues[key{holds, string(name)}] {
		if !q.put {
			q.put = true
			k.put = append(k.put, q)
		}
	}
}

// StreamGone says that a key is no stream any more, or with nil that none may be. Clients
// that take from one learn that they wait in vain; others wait for another stream.
func (k *Keys) StreamGone(name []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name != nil {
		k.gone(k.queues[key{keyspace.TypeStream, string(name)}])
		return
	}
	for of, lanes := range k.queues {
		if of.holds == keyspace.TypeStream {
			k.gone(lanes)
		}
	}
}

func (k *Keys) gone(lanes []*queue) {
	for _, q := range lanes {
		if !q.put && !q.lane.Together {
			q.put = true
			k.put = append(k.put, q)
		}
	}
}

// Commit says that what was put since Begin can be seen, and wakes who has reason to
// look. Clients that came meanwhile may have looked too early: Put was perhaps not
// called for their keys.
func (k *Keys) Commit() {
	if len(k.put) == 0 && k.arrivals.Load() == k.begun {
		return
	}
	var woken wakes
	k.mu.Lock()
	for _, q := range k.put {
		q.put = false
		q.version++
		q.rouse(&woken)
	}
	for e := k.all.Back(); e != nil && e.Value.(*Client).arrival > k.begun; e = e.Prev() {
		c := e.Value.(*Client)
		for _, p := range c.places {
			p.queue.version++
		}
		woken.add(c)
	}
	k.mu.Unlock()
	clear(k.put)
	k.put = k.put[:0]
	woken.call()
}

// Review wakes the clients of which stays says that they must not wait here any more,
// by one of their keys.
func (k *Keys) Review(stays func(key string) bool) {
	if k.blocked.Load() == 0 {
		return
	}
	var woken wakes
	k.mu.Lock()
	for e := k.all.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Client); len(c.places) > 0 && !stays(c.places[0].queue.key.name) {
			woken.add(c)
		}
	}
	k.mu.Unlock()
	woken.call()
}

// Close wakes all clients: what they wait for will not come here.
func (k *Keys) Close() { k.Review(func(string) bool { return false }) }

// drop removes a queue in which nobody is.
func (k *Keys) drop(q *queue) {
	if q.waiting.Len() > 0 || q.popping > 0 {
		return
	}
	lanes := slices.DeleteFunc(k.queues[q.key], func(other *queue) bool { return other == q })
	if k.queues[q.key] = lanes; len(lanes) == 0 {
		delete(k.queues, q.key)
	}
}

// rouse adds those who have reason to look, as the key was given a value.
func (q *queue) rouse(woken *wakes) {
	if !q.lane.Together {
		woken.add(q.first())
		return
	}
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		woken.add(e.Value.(*Client))
	}
}

// first returns the client whose turn it is, nil if all have a pop on its way.
func (q *queue) first() *Client {
	if e := q.waiting.Front(); e != nil {
		return e.Value.(*Client)
	}
	return nil
}

// next returns whom to wake because the queue has moved on: nobody, if the key is known
// to hold nothing.
func (q *queue) next() *Client {
	if q.empty == q.version || q.lane.Together {
		return nil
	}
	return q.first()
}

// wakes are clients that are to be woken once the lock is free.
type wakes []*Client

// add has a client woken, if there is one and it is not awake already.
func (w *wakes) add(c *Client) {
	if c != nil && !c.woken.Swap(true) {
		*w = append(*w, c)
	}
}

func (w wakes) call() {
	for _, c := range w {
		c.wake()
	}
}
