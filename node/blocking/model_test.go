package blocking

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
)

// model is a shard without a log: commands queue, and an applier runs them in batches.
// A seed decides who runs when.
type model struct {
	t     *testing.T
	world *seeded.World
	proc  *seeded.Process
	rng   *rand.Rand

	keys  Keys
	queue []*entry
	kick  chan struct{}
	// state is what has been committed: elements by key.
	state map[string][]int

	pushed  int
	popped  map[int]string // element → who popped it
	waiting int
	served  []string // in the order of their pops in the log
	trace   []string
}

// entry is a command in the queue.
type entry struct {
	push   int // how many elements
	keys   []string
	who    string
	popped int // the element
	done   chan struct{}
}

func newModel(t *testing.T, seed int64) *model {
	w := seeded.New(seed)
	m := &model{
		t: t, world: w, proc: w.Start("node"), rng: w.Rand, kick: make(chan struct{}, 1),
		state: make(map[string][]int), popped: make(map[int]string),
	}
	t.Cleanup(w.Close)
	m.proc.Go("applier", m.apply)
	return m
}

// pause lets others run.
func (m *model) pause(upTo time.Duration) {
	sched.Sleep(context.Background(), m.proc, time.Duration(m.rng.Int63n(int64(upTo))))
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *model) submit(e *entry) {
	e.done = make(chan struct{})
	m.queue = append(m.queue, e)
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

func (m *model) await(e *entry) { sched.Wait(m.proc, time.Time{}, e.done) }

func (m *model) apply() {
	for {
		sched.Wait(m.proc, time.Time{}, m.kick)
		m.pause(time.Millisecond) // others come meanwhile
		batch := m.queue
		m.queue = nil
		watched := m.keys.Begin()
		next := make(map[string][]int)
		for key, elements := range m.state {
			next[key] = slices.Clone(elements)
		}
		for _, e := range batch {
			m.run(e, next, watched)
			m.pause(100 * time.Microsecond)
		}
		m.state = next
		m.pause(100 * time.Microsecond)
		m.keys.Commit()
		for _, e := range batch {
			close(e.done)
			m.pause(100 * time.Microsecond)
		}
	}
}

func (m *model) run(e *entry, state map[string][]int, watched bool) {
	if e.push > 0 {
		key := e.keys[0]
		for range e.push {
			m.pushed++
			state[key] = append(state[key], m.pushed)
		}
		m.note("%d pushed to %s, %v now", e.push, key, state[key])
		if watched {
			m.keys.Put([]byte(key), keyspace.TypeList)
		}
		return
	}
	for _, key := range e.keys {
		if len(state[key]) == 0 {
			continue
		}
		e.popped = state[key][0]
		state[key] = state[key][1:]
		if other := m.popped[e.popped]; other != "" {
			m.t.Errorf("%d was popped by %s and %s", e.popped, other, e.who)
		}
		m.popped[e.popped] = e.who
		m.served = append(m.served, e.who)
		m.note("%s pops %d from %s", e.who, e.popped, key)
		return
	}
	m.note("%s pops nothing of %v", e.who, e.keys)
}

// client waits for one of the keys, and reports which element it got, 0 for none.
func (m *model) client(who string, keys []string, patience time.Duration) int {
	names := make([][]byte, len(keys))
	for i, key := range keys {
		names[i] = []byte(key)
	}
	wake := make(chan struct{}, 1)
	var until time.Time
	if patience > 0 {
		until = m.proc.Now().Add(patience)
	}
	m.waiting++
	m.note("%s waits for %v", who, keys)
	c := m.keys.Block(keyspace.TypeList, names, Lane{}, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	got := 0
	a := Attempt{
		Look: func() (int, int64, bool) {
			m.pause(200 * time.Microsecond)
			for i, key := range keys {
				if n := len(m.state[key]); n > 0 {
					m.pause(200 * time.Microsecond)
					return i, int64(n), false
				}
			}
			m.pause(200 * time.Microsecond)
			return 0, 0, false
		},
		Gone: func() bool { return false },
		Pop: func(submitted func()) bool {
			e := &entry{keys: keys, who: who}
			m.submit(e)
			submitted()
			m.await(e)
			got = e.popped
			return got != 0
		},
	}
	for !c.Try(a) {
		if sched.Wait(m.proc, until, wake) == sched.Timeout {
			break
		}
	}
	c.Leave()
	m.waiting--
	m.note("%s leaves with %d", who, got)
	return got
}

// settle lets everything happen that is going to.
func (m *model) settle() { m.world.RunFor(time.Second) }

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	for _, line := range m.trace {
		m.t.Log(line)
	}
	m.t.Fatalf(format, args...)
}

// modelSeeds is how many seeds are tried.
func modelSeeds() int64 {
	if testing.Short() {
		return 100
	}
	return 1000
}

// Whatever the order of events, no element is popped twice, and none lies there in the
// end that somebody waits for.
func TestEverybodyIsServed(t *testing.T) {
	stolen, timeouts, several := 0, 0, 0
	for seed := range modelSeeds() {
		m := newModel(t, seed)
		names := []string{"a", "b", "c"}[:1+m.rng.Intn(3)]
		wanted := make(map[string][]string) // who → keys, of those that wait for ever
		for i := range 2 + m.rng.Intn(8) {
			who := fmt.Sprint("client", i)
			keys := make([]string, 1+m.rng.Intn(3))
			for i := range keys {
				keys[i] = names[m.rng.Intn(len(names))]
			}
			if len(keys) > 1 {
				several++
			}
			patience := time.Duration(0)
			if m.rng.Intn(3) == 0 {
				patience = time.Duration(1+m.rng.Intn(4)) * time.Millisecond
			}
			m.proc.Go(who, func() {
				m.pause(5 * time.Millisecond)
				if patience == 0 {
					wanted[who] = keys
				}
				if m.client(who, keys, patience) == 0 {
					timeouts++
				}
				delete(wanted, who)
			})
		}
		for range 1 + m.rng.Intn(6) {
			m.proc.Go("pusher", func() {
				m.pause(8 * time.Millisecond)
				e := &entry{push: 1 + m.rng.Intn(3), keys: []string{names[m.rng.Intn(len(names))]}}
				m.submit(e)
				m.await(e)
			})
		}
		if m.rng.Intn(2) == 0 {
			m.proc.Go("thief", func() {
				for range 3 {
					m.pause(4 * time.Millisecond)
					e := &entry{keys: []string{names[m.rng.Intn(len(names))]}, who: "thief"}
					m.submit(e)
					m.await(e)
					if e.popped != 0 {
						stolen++
					}
				}
			})
		}
		m.settle()
		for who, keys := range wanted {
			for _, key := range keys {
				if len(m.state[key]) > 0 {
					m.fail("seed %d: %s waits for %v, and %s holds %v", seed, who, keys, key, m.state[key])
				}
			}
		}
		left := 0
		for _, elements := range m.state {
			left += len(elements)
		}
		if len(m.popped)+left != m.pushed || m.keys.Blocked() != m.waiting {
			m.fail("seed %d: %d pushed, %d popped, %d left; %d wait, %d are blocked", seed, m.pushed, len(m.popped), left, m.waiting, m.keys.Blocked())
		}
		if m.waiting == 0 && len(m.keys.queues)+m.keys.all.Len() > 0 {
			m.fail("seed %d: there are queues in which nobody is", seed)
		}
		m.world.Close()
	}
	if stolen == 0 || timeouts == 0 || several == 0 {
		t.Errorf("nothing to prove: %d elements stolen, %d timeouts, %d clients with several keys", stolen, timeouts, several)
	}
}

// Who waits for one key alone is served in the order of arrival, also where several
// elements come at once and many pops are on their way together.
func TestFirstComeFirstServed(t *testing.T) {
	together := false
	for seed := range modelSeeds() {
		m := newModel(t, seed)
		var arrived []string
		for i := range 8 {
			who := fmt.Sprint("client", i)
			m.proc.Go(who, func() {
				m.pause(3 * time.Millisecond)
				arrived = append(arrived, who)
				m.client(who, []string{"a"}, 0)
			})
		}
		for range 4 {
			m.proc.Go("pusher", func() {
				m.pause(5 * time.Millisecond)
				m.submit(&entry{push: 2, keys: []string{"a"}})
			})
		}
		for m.proc.Goroutines() != "" && m.world.Step(m.world.Now().Add(time.Second)) {
			pops := 0
			for _, e := range m.queue {
				if e.push == 0 {
					pops++
				}
			}
			together = together || pops > 1
			if len(m.served) == 8 {
				break
			}
		}
		if !slices.Equal(arrived, m.served) {
			m.fail("seed %d: arrived %v\nserved %v", seed, arrived, m.served)
		}
		m.world.Close()
	}
	if !together {
		t.Error("no two pops were ever on their way together")
	}
}

// Who is behind a client whose pop is on its way need not wait for its end, if there
// is something for both.
func TestPopsGoTogether(t *testing.T) {
	m := newModel(t, 1)
	const clients = 8
	for i := range clients {
		m.proc.Go("client", func() { m.client(fmt.Sprint(i), []string{"a"}, 0) })
	}
	m.settle()
	m.proc.Go("pusher", func() { m.submit(&entry{push: clients - 2, keys: []string{"a"}}) })
	most := 0
	for m.world.Step(m.world.Now().Add(time.Second)) {
		most = max(most, m.keys.poppingNow("a"))
	}
	if most < 3 || len(m.served) != clients-2 {
		m.fail("%d were served, at most %d pops were on their way", len(m.served), most)
	}
}

func (k *Keys) poppingNow(name string) int {
	for _, q := range k.queues[key{keyspace.TypeList, name}] {
		return q.popping
	}
	return 0
}

// A key that holds something of another type is none that is waited for, and Review
// wakes whom it concerns.
func TestWhoIsWoken(t *testing.T) {
	var k Keys
	woken := ""
	block := func(who string, holds keyspace.Type, names ...string) *Client {
		var keys [][]byte
		for _, name := range names {
			keys = append(keys, []byte(name))
		}
		c := k.Block(holds, keys, Lane{}, func() { woken += who })
		c.Try(Attempt{Look: func() (int, int64, bool) { return 0, 0, false }})
		return c
	}
	expect := func(want string) {
		t.Helper()
		if woken != want {
			t.Errorf("woken: %q, not %q", woken, want)
		}
		woken = ""
	}
	put := func(name string, holds keyspace.Type) {
		k.Begin()
		k.Put([]byte(name), holds)
		k.Commit()
	}
	list := block("l", keyspace.TypeList, "a", "a", "b")
	set := block("z", keyspace.TypeSortedSet, "a")
	second := block("s", keyspace.TypeList, "a")
	none := block("n", keyspace.TypeList)
	put("a", keyspace.TypeString)
	put("c", keyspace.TypeList)
	expect("")
	put("a", keyspace.TypeSortedSet)
	expect("z")
	put("b", keyspace.TypeList)
	put("b", keyspace.TypeList) // it is awake already
	expect("l")
	put("a", keyspace.TypeList)
	expect("")
	list.Leave()
	expect("s")
	second.Try(Attempt{Look: func() (int, int64, bool) { return 0, 0, false }})
	set.Try(Attempt{Look: func() (int, int64, bool) { return 0, 0, false }})
	k.Review(func(key string) bool { return key != "a" })
	expect("zs")
	list.Leave()
	for _, c := range []*Client{set, second, none} {
		c.Leave()
	}
	if k.Blocked() != 0 || len(k.queues) != 0 || k.all.Len() != 0 || k.Begin() {
		t.Errorf("somebody is left: %d, %v", k.Blocked(), k.queues)
	}
}

// A key that is named very often costs no more than others.
func TestManyKeys(t *testing.T) {
	var k Keys
	keys := slices.Repeat([][]byte{[]byte("a"), []byte("b")}, 100_000)
	c := k.Block(keyspace.TypeList, keys, Lane{}, func() {})
	if k.Len() != 2 {
		t.Errorf("clients are blocked on %d keys", k.Len())
	}
	look := Attempt{
		Look: func() (int, int64, bool) { return 1, 1, false },
		Gone: func() bool { return false },
		Pop:  func(submitted func()) bool { submitted(); return true },
	}
	if !c.Try(look) {
		t.Error("the only client has to wait")
	}
	c.Leave()
	if k.Len() != 0 {
		t.Errorf("queues are left: %v", k.queues)
	}
}
