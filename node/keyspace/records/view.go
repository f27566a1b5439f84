package records

// View reads one state of the map. It is used by one goroutine. An error of the
// store sticks: after one, nothing is found and Err returns it.
type View struct {
	m    *Map // nil: nothing is there
	base *commit
	age  uint32 // of base.world, when the view began
	err  error
	done bool
}

// View begins reading the newest committed state, and sees no later one. Close it
// soon: what changes meanwhile is kept for it. A goroutine that holds a view must
// not commit.
func (m *Map) View() *View {
	v := new(View)
	m.ViewIn(v)
	return v
}

// ViewIn is View, in memory of the caller's.
func (m *Map) ViewIn(v *View) {
	m.views.RLock()
	*v = View{m: m}
	v.base, v.age = m.enter()
	if m.closed {
		v.err = ErrClosed
	}
}

// enter returns the newest commit, whose world keeps what it has in the store until
// the view leaves it, and the world's age. The commit is taken after the view has
// been counted: what it does not see was not visible when that age began.
func (m *Map) enter() (base *commit, age uint32) {
	for {
		world := m.latest.Load().world
		age := world.age.Load()
		world.views[age&1].Add(1)
		if base := m.latest.Load(); base.world == world && world.age.Load() == age {
			return base, age
		}
		world.views[age&1].Add(-1) // it may be swept already
	}
}

// Empty returns a view of nothing.
func Empty() *View { return &View{base: &commit{}, done: true} }

// Close ends the view. Closing again does nothing.
func (v *View) Close() {
	if !v.done {
		v.done = true
		world := v.base.world
		if world.views[v.age&1].Add(-1) == 0 && (world != v.m.latest.Load().world || v.m.ended.any.Load()) {
			signal(v.m.checkpoints.wake) // what it has left may go
		}
		v.m.views.RUnlock()
	}
}

// Err returns the first error.
func (v *View) Err() error { return v.err }

// Mark returns that of the state.
func (v *View) Mark() Mark { return v.base.mark }

// Find returns the record of a key, nil if the key is not there.
func (v *View) Find(key []byte) Record {
	if v.m == nil {
		return nil
	}
	return v.load(v.m.hash(key), key)
}

// Get returns the value of a key, which must not be changed, and whether the key
// is there.
func (v *View) Get(key []byte) (value []byte, ok bool) {
	if v.m == nil {
		return nil, false
	}
	rec := v.load(v.m.hash(key), key)
	if rec == nil {
		return nil, false
	}
	return rec.Value(), true
}

// load returns the key's record, nil if it has none.
func (v *View) load(hash uint64, key []byte) Record {
	if v.err != nil {
		return nil
	}
	home, outer := v.base.world, isOuter(key)
	if outer {
		home = v.m.outer
	}
	rec, err := home.current(hash, key)
	if err != nil {
		v.err = err
		return nil
	}
	// The first commit after base that changed the key knows what base had.
	for c := v.base.next.Load(); c != nil; c = c.next.Load() {
		changes := c.outer
		if !outer {
			if c.world != home {
				break // flushed: this world does not change any more
			}
			changes = c.inner
		}
		if ch := changes.find(hash, key); ch != nil {
			return ch.old
		}
	}
	return rec
}

// Walk returns a walker over the keys in [lower, upper), in order. The range lies
// in one class: see the package's comment. The caller releases the walker before
// the view ends.
func (v *View) Walk(lower, upper []byte) *Walker {
	w := &Walker{upper: upper}
	if v.m == nil || v.err != nil {
		return w
	}
	outer := isOuter(lower)
	home := v.base.world
	if outer {
		home = v.m.outer
	}
	w.load = func(key []byte) Record { return v.load(v.m.hash(key), key) }
	w.err = &v.err
	w.begin(home, lower)
	// The iterator may know commits after base, but none that is not linked by now.
	for c := v.base.next.Load(); c != nil; c = c.next.Load() {
		changes := c.outer
		if !outer {
			if c.world != home {
				break
			}
			changes = c.inner
		}
		w.lay(changes, lower, func(ch *change) Record { return ch.old })
	}
	w.arrange()
	return w
}
