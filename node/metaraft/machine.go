package metaraft

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// Entry is a committed MetaRaft entry.
type Entry struct {
	Index uint64
	Time  int64 // the leader's unix ms when it made the entry
	// Payloads are encoded proposals; an entry without any only advances
	// Applied.
	Payloads [][]byte
	// Results, if not nil, has one pointer per payload, nil where nobody
	// waits: that is where its encoded Outcome goes.
	Results []*[]byte
}

// Machine is the replicated state machine of MetaRaft. Apply is called by one
// goroutine; everything else may be called concurrently.
type Machine struct {
	store storage.Store

	published atomic.Pointer[published]

	mu      sync.Mutex
	changed chan struct{} // closed at the next change of the state
	moved   chan struct{} // closed at the next advance of Applied
}

// published is what readers see, all of the same moment.
type published struct {
	applied uint64
	state   *State
	view    *topology.View
}

// ErrOutOfOrder is returned for an entry that was applied already.
var ErrOutOfOrder = errors.New("metaraft: entry is not newer than the last applied one")

var (
	stateKey   = []byte("metaraft/state")
	appliedKey = []byte("metaraft/applied")
)

// NewMachine restores the machine that store holds, or begins an empty one.
func NewMachine(store storage.Store) (*Machine, error) {
	p := published{state: &State{Slots: new(SlotTable)}}
	data, err := store.Get(appliedKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("metaraft: read the applied index: %w", err)
	case len(data) != 8:
		return nil, fmt.Errorf("%w: applied index of %d bytes", ErrFormat, len(data))
	default:
		p.applied = binary.BigEndian.Uint64(data)
	}
	data, err = store.Get(stateKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("metaraft: read the state: %w", err)
	default:
		if err := Decode(data, p.state); err != nil {
			return nil, fmt.Errorf("metaraft: read the state: %w", err)
		}
		if p.state.Slots == nil {
			return nil, fmt.Errorf("metaraft: read the state: %w: it has no slots", ErrFormat)
		}
	}
	p.view = buildView(p.state, 0)
	m := &Machine{store: store, changed: make(chan struct{}), moved: make(chan struct{})}
	m.published.Store(&p)
	return m, nil
}

// Applied returns the index of the last applied entry.
func (m *Machine) Applied() uint64 { return m.published.Load().applied }

// State returns the state as of now; it is immutable.
func (m *Machine) State() *State { return m.published.Load().state }

// View returns the topology as of now, as node self sees it. Its Quorum is
// false: whoever confirms a view with a barrier says so in a copy. Its Index is
// that of the last entry that changed something.
func (m *Machine) View(self topology.NodeID) *topology.View {
	p := m.published.Load()
	if p.view.Self == self {
		return p.view
	}
	// First call for this node since it started: later ones find it built.
	withSelf := *p
	withSelf.view = buildView(p.state, self)
	m.published.CompareAndSwap(p, &withSelf)
	return withSelf.view
}

// Sync makes everything applied durable and returns the applied index that no
// crash can take back.
func (m *Machine) Sync() (applied uint64, err error) {
	applied = m.Applied()
	if err := m.store.Sync(); err != nil {
		return 0, fmt.Errorf("metaraft: sync the state: %w", err)
	}
	return applied, nil
}

// Export returns all records of the present state, in order, and its applied
// index. NewMachine finds the same state in a store that holds the same records.
// The caller releases the iterator.
func (m *Machine) Export() (applied uint64, records storage.Iterator, err error) {
	key, value, records, ok := storage.Peek(m.store.Iterate(nil, nil))
	switch {
	case !ok && records.Err() != nil:
		err = fmt.Errorf("metaraft: export the state: %w", records.Err())
	case !ok:
		err = errors.New("metaraft: there is no state to export")
	case !bytes.Equal(key, appliedKey) || len(value) != 8: // it sorts first
		err = fmt.Errorf("%w: the first record is %q", ErrFormat, key)
	default:
		return binary.BigEndian.Uint64(value), records, nil
	}
	records.Release()
	return 0, nil, err
}

// Watch returns a channel that is closed when the state changes next. Take it
// before looking at the state.
func (m *Machine) Watch() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// AwaitApplied returns nil once Applied is at least index.
func (m *Machine) AwaitApplied(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		moved := m.moved
		m.mu.Unlock()
		if m.Applied() >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Apply applies committed entries in order, writes the outcome in one batch and
// then publishes it. An error means that the member cannot go on (the store
// failed, or an entry is not understood): nothing of the call was published.
func (m *Machine) Apply(entries []Entry) error {
	before := m.published.Load()
	after := *before
	for i := range entries {
		e := &entries[i]
		if e.Index <= after.applied {
			return fmt.Errorf("%w: %d after %d", ErrOutOfOrder, e.Index, after.applied)
		}
		state, err := applyEntry(after.state, e)
		if err != nil {
			return fmt.Errorf("apply entry %d: %w", e.Index, err)
		}
		after.applied, after.state = e.Index, state
	}
	if after.applied == before.applied {
		return nil
	}
	if err := m.write(before, &after); err != nil {
		return err
	}
	m.publish(&after)
	return nil
}

// applyEntry returns the state after e; s itself if e changed nothing.
func applyEntry(s *State, e *Entry) (*State, error) {
	for i, payload := range e.Payloads {
		p, err := DecodeProposal(payload)
		if err != nil {
			return nil, err
		}
		next, outcome := applyProposal(s, e.Index, e.Time, p)
		s = next
		if e.Results == nil || e.Results[i] == nil {
			continue
		}
		if *e.Results[i], err = Encode(outcome); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (m *Machine) write(before, after *published) error {
	var batch storage.Batch
	batch.Put(appliedKey, binary.BigEndian.AppendUint64(nil, after.applied))
	if after.state != before.state {
		data, err := Encode(after.state)
		if err != nil {
			return err
		}
		batch.Put(stateKey, data)
	}
	if err := m.store.Write(&batch); err != nil {
		return fmt.Errorf("metaraft: write the state: %w", err)
	}
	return nil
}

// publish makes after visible and wakes whoever waits for it.
func (m *Machine) publish(after *published) {
	for {
		current := m.published.Load() // View may have replaced the view since
		next := *after
		next.view = current.view
		stateChanged := next.state != current.state
		if stateChanged {
			next.view = buildView(next.state, current.view.Self)
		}
		if !m.published.CompareAndSwap(current, &next) {
			continue
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.moved)
		m.moved = make(chan struct{})
		if stateChanged {
			close(m.changed)
			m.changed = make(chan struct{})
		}
		return
	}
}
