package metaraft

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/storage"
)

// simEntry is one entry of a simGroup's log.
type simEntry struct {
	payload []byte
	result  chan []byte // gets the leader's outcome; buffered
	leader  uint64
}

// simGroup is the MetaRaft group of one cluster.
type simGroup struct {
	id uint64

	mu       sync.Mutex
	log      []simEntry // index 1 is log[0]
	replicas map[uint64]*simReplica
	config   []MetaMember // as of the leader's last applied entry
	leader   uint64
	changed  chan struct{}
}

func (g *simGroup) broadcast() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// elect gives the group a leader if it has none and a majority of voters lives.
// The caller holds mu.
func (g *simGroup) elect() {
	if r := g.replicas[g.leader]; r != nil && g.votes(g.leader) {
		return
	}
	g.leader = 0
	voters, alive := 0, []uint64{}
	for _, m := range g.config {
		if m.Voter {
			voters++
			if g.replicas[m.MetaID] != nil {
				alive = append(alive, m.MetaID)
			}
		}
	}
	if len(alive) > 0 && 2*len(alive) > voters {
		g.leader = alive[len(alive)-1]
	}
	g.broadcast()
}

// reconfigure makes the configuration what the leader's state wishes, except
// that a member does not vote before it was up once: a real leader promotes
// learners that have caught up. The caller holds mu.
func (g *simGroup) reconfigure(s *State) {
	if g.wish(s) {
		g.elect()
		g.broadcast()
	}
}

// wish takes the members that s wishes for; it reports false if nothing changed.
func (g *simGroup) wish(s *State) bool {
	wished := s.MetaMembers()
	for i := range wished {
		m := &wished[i]
		m.Voter = m.Voter && (g.replicas[m.MetaID] != nil || g.votes(m.MetaID))
	}
	if !slices.ContainsFunc(wished, func(m MetaMember) bool { return m.Voter }) {
		return false // nobody could take over yet
	}
	changed := !slices.Equal(g.config, wished)
	g.config = wished
	return changed
}

func (g *simGroup) votes(id uint64) bool {
	return slices.ContainsFunc(g.config, func(m MetaMember) bool { return m.MetaID == id && m.Voter })
}

// hasQuorum reports whether a majority of the voters lives. The caller holds mu.
func (g *simGroup) hasQuorum() bool {
	voters, alive := 0, 0
	for _, m := range g.config {
		if m.Voter {
			voters++
			if g.replicas[m.MetaID] != nil {
				alive++
			}
		}
	}
	return 2*alive > voters
}

// simReplica implements Raft.
type simReplica struct {
	g       *simGroup
	id      uint64
	machine *Machine
	stop    context.CancelFunc
	ctx     context.Context
	done    chan struct{}
	// deaf makes it hear of nothing that is committed from now on.
	deaf atomic.Bool
	// uncertain, if set, makes Propose append and then not know.
	uncertain func() bool
}

// start brings a member of the group up; founder makes it the only voter of a
// group that does not exist yet.
func (g *simGroup) start(id uint64, store storage.Store, founder bool) *simReplica {
	machine, err := NewMachine(store)
	if err != nil {
		panic(err)
	}
	r := &simReplica{g: g, id: id, machine: machine, done: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(context.Background())
	g.mu.Lock()
	g.replicas[id] = r
	if founder && len(g.config) == 0 {
		g.config = []MetaMember{{MetaID: id, Voter: true}}
	}
	g.elect()
	if leader := g.replicas[g.leader]; leader != nil && leader.machine.State().ClusterID != 0 {
		g.reconfigure(leader.machine.State())
	}
	g.broadcast()
	g.mu.Unlock()
	go r.run()
	return r
}

// close ends the member as a crash does.
func (r *simReplica) close() {
	r.stop()
	<-r.done
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if r.g.replicas[r.id] == r {
		delete(r.g.replicas, r.id)
	}
	r.g.elect()
}

// run applies the log in order for as long as the member is in the
// configuration; a removed one does not hear about its removal.
func (r *simReplica) run() {
	defer close(r.done)
	for {
		r.g.mu.Lock()
		applied := r.machine.Applied()
		var entry *simEntry
		member := slices.ContainsFunc(r.g.config, func(m MetaMember) bool { return m.MetaID == r.id })
		if applied < uint64(len(r.g.log)) && member && !r.deaf.Load() {
			entry = &r.g.log[applied]
			e := *entry
			entry = &e
		}
		if s := r.machine.State(); r.g.leader == r.id && applied == uint64(len(r.g.log)) && s.ClusterID != 0 {
			r.g.reconfigure(s) // the leader before may have left that undone
		}
		changed := r.g.changed
		r.g.mu.Unlock()
		if entry == nil {
			select {
			case <-changed:
			case <-r.ctx.Done():
				return
			}
			continue
		}
		if r.ctx.Err() != nil {
			return
		}
		var result []byte
		err := r.machine.Apply([]Entry{{
			Index: applied + 1, Time: time.Now().UnixMilli(), Payloads: [][]byte{entry.payload}, Results: []*[]byte{&result},
		}})
		if err != nil {
			panic(err)
		}
		r.g.mu.Lock()
		if r.g.leader == r.id || r.g.leader == 0 {
			r.g.reconfigure(r.machine.State())
		}
		if entry.leader == r.id {
			entry.result <- result
		}
		r.g.broadcast()
		r.g.mu.Unlock()
	}
}

func (r *simReplica) Propose(ctx context.Context, payload []byte) ([]byte, error) {
	r.g.mu.Lock()
	if r.g.leader != r.id || r.ctx.Err() != nil || !r.g.hasQuorum() {
		r.g.mu.Unlock()
		return nil, ErrNotLeader
	}
	entry := simEntry{payload: payload, result: make(chan []byte, 1), leader: r.id}
	r.g.log = append(r.g.log, entry)
	r.g.broadcast()
	r.g.mu.Unlock()
	select {
	case result := <-entry.result:
		if r.uncertain != nil && r.uncertain() {
			return nil, ErrUncertain
		}
		return result, nil
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	return nil, ErrUncertain
}

func (r *simReplica) Barrier(ctx context.Context) error {
	for {
		r.g.mu.Lock()
		member := slices.ContainsFunc(r.g.config, func(m MetaMember) bool { return m.MetaID == r.id })
		target, ok, changed := uint64(len(r.g.log)), r.g.leader != 0 && r.g.hasQuorum() && member, r.g.changed
		r.g.mu.Unlock()
		if ok {
			for r.machine.Applied() < target {
				r.g.mu.Lock()
				changed = r.g.changed
				r.g.mu.Unlock()
				if r.machine.Applied() >= target {
					break
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return ctx.Err()
				case <-r.ctx.Done():
					return context.Canceled
				}
			}
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.ctx.Done():
			return context.Canceled
		}
	}
}

func (r *simReplica) Leader() (uint64, bool) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	// A removed member hears from nobody.
	if !slices.ContainsFunc(r.g.config, func(m MetaMember) bool { return m.MetaID == r.id }) {
		return 0, false
	}
	return r.g.leader, r.g.leader == r.id
}

func (r *simReplica) Progress() []MemberProgress {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if r.g.leader != r.id {
		return nil
	}
	var list []MemberProgress
	for _, m := range r.g.config {
		list = append(list, MemberProgress{MetaID: m.MetaID, Voter: m.Voter})
	}
	return list
}
