package blocking

import (
	"container/list"
	"slices"
	"sync/atomic"
)

// Client is one that waits for its keys. Woken and Ripe may be called by any goroutine; all
// other methods are for the client's own.
type Client struct {
	keys    *Keys
	wake    func()
	woken   atomic.Bool
	arrival uint64

	// Keys.mu guards these.
	element *list.Element // in Keys.all
	places  []place       // in the order of the client's keys
	popping bool
	left    bool
}

// place is where a client stands in the queue of one of its keys.
type place struct {
	queue *queue
	// element is in queue.waiting; nil while the client pops.
	element *list.Element
	// repeated: the client has named the key before, and stands there.
	repeated bool
	looked   uint64 // the queue's version when the client looked
}

// Woken reports whether there is reason to try.
func (c *Client) Woken() bool { return c.woken.Load() }

// Ripe wakes the client because time may have brought something that nobody has put
// there. Any goroutine may call it.
func (c *Client) Ripe() {
	var woken wakes
	woken.add(c)
	woken.call()
}

// Attempt is what a client does with the data. None of the functions is called with a lock
// held.
type Attempt struct {
	// Look looks at the keys, linearizably, and returns the place of the first one that
	// holds something among those given to Block, and how many elements. There are none
	// where no key does. over ends the wait: there was an error.
	Look func() (place int, elements int64, over bool)
	// Gone reports whether the client has hung up: nothing is popped for it then.
	Gone func() bool
	// Pop submits the command. It calls submitted when it has a place before everything
	// that is submitted later, and reports whether the wait is over: not where others
	// had taken what was there.
	Pop func(submitted func()) (over bool)
}

// Try looks at the keys, and pops where it is the client's turn. It reports whether the
// wait is over, and does nothing if the client was not woken. Then the client leaves.
func (c *Client) Try(a Attempt) (over bool) {
	for c.woken.Load() {
		c.begin()
		at, elements, over := a.Look()
		switch {
		case over:
			return true
		case elements == 0:
			c.empty()
		case c.turn(at, elements):
			if a.Gone() || a.Pop(func() { c.submitted(at, elements) }) {
				return true
			}
			c.again()
		}
	}
	return false
}

// begin comes before a look: what happens from now on wakes the client again.
func (c *Client) begin() {
	c.keys.mu.Lock()
	defer c.keys.mu.Unlock()
	c.woken.Store(false)
	for i := range c.places {
		c.places[i].looked = c.places[i].queue.version
	}
}

// empty notes that the keys hold nothing. Clients that have let others have precedence
// for one of them may look at their other keys.
func (c *Client) empty() {
	var woken wakes
	c.keys.mu.Lock()
	for i := range c.places {
		p := &c.places[i]
		q := p.queue
		if q.version != p.looked {
			continue
		}
		q.empty = q.version
		for _, other := range q.passed {
			woken.add(other)
		}
		q.passed = nil
	}
	c.keys.mu.Unlock()
	woken.call()
}

// turn reports whether it is the client's turn to pop from a key of which it has seen
// so many elements. Then it counts as popping until again or Leave.
func (c *Client) turn(at int, elements int64) bool {
	c.keys.mu.Lock()
	defer c.keys.mu.Unlock()
	q := c.places[at].queue
	if q.first() != c || int64(q.popping) >= elements {
		if len(c.places) > 1 && !slices.Contains(q.passed, c) {
			q.passed = append(q.passed, c)
		}
		return false
	}
	c.popping = true
	for i := range c.places {
		if p := &c.places[i]; p.element != nil {
			p.queue.waiting.Remove(p.element)
			p.element = nil
			p.queue.popping++
		}
	}
	return true
}

// submitted wakes the client behind this one, if there were elements for both.
func (c *Client) submitted(at int, elements int64) {
	var woken wakes
	c.keys.mu.Lock()
	if q := c.places[at].queue; int64(q.popping) < elements {
		woken.add(q.first())
	}
	c.keys.mu.Unlock()
	woken.call()
}

// again puts a client whose pop has found nothing back into its place, and wakes those
// whose turn it is now, itself perhaps.
func (c *Client) again() {
	var woken wakes
	c.keys.mu.Lock()
	c.popping = false
	for i := range c.places {
		if p := &c.places[i]; !p.repeated {
			q := p.queue
			q.popping--
			p.element = q.insert(c)
			woken.add(q.first())
		}
	}
	c.keys.mu.Unlock()
	woken.call()
}

// insert puts a client into the queue where it belongs by its arrival: near the front,
// as only those before it can have been popping.
func (q *queue) insert(c *Client) *list.Element {
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		if e.Value.(*Client).arrival > c.arrival {
			return q.waiting.InsertBefore(c, e)
		}
	}
	return q.waiting.PushBack(c)
}

// Leave ends the wait, and gives those behind their turn. Leaving again does nothing.
func (c *Client) Leave() {
	var woken wakes
	c.keys.mu.Lock()
	if !c.left {
		c.left = true
		c.keys.all.Remove(c.element)
		c.keys.blocked.Add(-1)
		for i := range c.places {
			c.leave(i, &woken)
		}
	}
	c.keys.mu.Unlock()
	woken.call()
}

// leave takes a client out of the queue of one of its keys.
func (c *Client) leave(i int, woken *wakes) {
	p := &c.places[i]
	q := p.queue
	switch {
	case p.element != nil:
		q.waiting.Remove(p.element)
		p.element = nil
	case c.popping && !p.repeated:
		q.popping--
	}
	if n := slices.Index(q.passed, c); n >= 0 {
		q.passed = slices.Delete(q.passed, n, n+1)
	}
	woken.add(q.next())
	c.keys.drop(q)
}
