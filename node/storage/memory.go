package storage

import (
	"bytes"
	"hash/maphash"
	"sync"
)

// Memory is a Store in memory. Its content is an immutable balanced tree that
// each batch replaces, so an iterator's snapshot, a clone and the state at the
// last Sync cost nothing.
type Memory struct {
	mu     sync.RWMutex
	root   *treeNode
	synced *treeNode
	closed bool
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{} }

// Clone returns an independent store with the same content: what a crash leaves
// if every batch survives.
func (m *Memory) Clone() *Memory {
	root, _ := m.current()
	return &Memory{root: root, synced: root}
}

// Synced returns an independent store with the content at the last Sync: what a
// crash leaves if only that survives.
func (m *Memory) Synced() *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return &Memory{root: m.synced, synced: m.synced}
}

func (m *Memory) current() (*treeNode, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return m.root, ErrClosed
	}
	return m.root, nil
}

// Get implements Store.
func (m *Memory) Get(key []byte) ([]byte, error) {
	root, err := m.current()
	if err != nil {
		return nil, err
	}
	if n := root.find(key); n != nil {
		return append([]byte{}, n.value...), nil
	}
	return nil, ErrNotFound
}

// Has implements Store.
func (m *Memory) Has(key []byte) (bool, error) {
	root, err := m.current()
	if err != nil {
		return false, err
	}
	return root.find(key) != nil, nil
}

// Iterate implements Store.
func (m *Memory) Iterate(lower, upper []byte) Iterator {
	root, err := m.current()
	if err != nil {
		return &memoryIterator{err: err}
	}
	it := &memoryIterator{upper: bytes.Clone(upper)}
	it.seek(root, lower)
	return it
}

// Write implements Store.
func (m *Memory) Write(b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	root := m.root
	b.Replay(
		func(key, value []byte) { root = root.put(bytes.Clone(key), append([]byte{}, value...)) },
		func(key []byte) { root = root.delete(key) },
	)
	m.root = root
	return nil
}

// Sync implements Store.
func (m *Memory) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.synced = m.root
	return nil
}

// Begin implements Store. A second transaction waits only in Commit: there is one
// writer at a time anyway.
func (m *Memory) Begin() (Transaction, error) {
	if _, err := m.current(); err != nil {
		return nil, err
	}
	return &memoryTransaction{memory: m}, nil
}

// memoryTransaction collects what Commit does at once.
type memoryTransaction struct {
	memory *Memory
	batch  Batch
}

func (t *memoryTransaction) Put(key, value []byte) error {
	t.batch.Put(key, value)
	return nil
}

func (t *memoryTransaction) Delete(key []byte) error {
	t.batch.Delete(key)
	return nil
}

func (t *memoryTransaction) Commit() error {
	if err := t.memory.Write(&t.batch); err != nil {
		return err
	}
	return t.memory.Sync()
}

func (t *memoryTransaction) Discard() {}

// Close implements Store. Clone and Synced still work on a closed store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.closed, m.synced = true, m.root
	return nil
}

// treeNode is a node of a treap: a search tree by key that is a heap by
// priority. The priority is a hash of the key, which makes the tree's shape a
// function of its content alone. Nodes never change once they are reachable.
type treeNode struct {
	key, value  []byte
	priority    uint64
	left, right *treeNode
}

// prioritySeed only influences the shape of trees, never what they answer.
var prioritySeed = maphash.MakeSeed()

func (n *treeNode) find(key []byte) *treeNode {
	for n != nil {
		switch c := bytes.Compare(key, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// put returns the tree with key set to value; it keeps both slices.
func (n *treeNode) put(key, value []byte) *treeNode {
	if n.find(key) != nil {
		return n.replace(key, value)
	}
	priority := maphash.Bytes(prioritySeed, key)
	return n.insert(&treeNode{key: key, value: value, priority: priority})
}

func (n *treeNode) replace(key, value []byte) *treeNode {
	c := *n
	switch cmp := bytes.Compare(key, n.key); {
	case cmp < 0:
		c.left = n.left.replace(key, value)
	case cmp > 0:
		c.right = n.right.replace(key, value)
	default:
		c.value = value
	}
	return &c
}

// insert adds the fresh node, whose key is not in the tree.
func (n *treeNode) insert(fresh *treeNode) *treeNode {
	if n == nil || fresh.priority > n.priority {
		fresh.left, fresh.right = n.split(fresh.key)
		return fresh
	}
	c := *n
	if bytes.Compare(fresh.key, n.key) < 0 {
		c.left = n.left.insert(fresh)
	} else {
		c.right = n.right.insert(fresh)
	}
	return &c
}

// split returns the trees of the keys below and above key, which is not there.
func (n *treeNode) split(key []byte) (below, above *treeNode) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if bytes.Compare(key, n.key) < 0 {
		below, c.left = n.left.split(key)
		return below, &c
	}
	c.right, above = n.right.split(key)
	return &c, above
}

func (n *treeNode) delete(key []byte) *treeNode {
	if n.find(key) == nil {
		return n
	}
	c := *n
	switch cmp := bytes.Compare(key, n.key); {
	case cmp < 0:
		c.left = n.left.delete(key)
	case cmp > 0:
		c.right = n.right.delete(key)
	default:
		return joinTrees(n.left, n.right)
	}
	return &c
}

// joinTrees returns the union of two trees, all of whose keys are in order.
func joinTrees(below, above *treeNode) *treeNode {
	switch {
	case below == nil:
		return above
	case above == nil:
		return below
	case below.priority > above.priority:
		c := *below
		c.right = joinTrees(below.right, above)
		return &c
	default:
		c := *above
		c.left = joinTrees(below, above.left)
		return &c
	}
}

// memoryIterator walks one version of the tree.
type memoryIterator struct {
	path  []*treeNode // nodes still to visit, the next one last; each stands for itself and its right side
	now   *treeNode
	upper []byte
	err   error
}

// seek puts the iterator before the first key that is not below lower.
func (it *memoryIterator) seek(n *treeNode, lower []byte) {
	for n != nil {
		if lower != nil && bytes.Compare(n.key, lower) < 0 {
			n = n.right
			continue
		}
		it.path = append(it.path, n)
		n = n.left
	}
}

func (it *memoryIterator) Next() bool {
	it.now = nil
	last := len(it.path) - 1
	if last < 0 {
		return false
	}
	n := it.path[last]
	if it.upper != nil && bytes.Compare(n.key, it.upper) >= 0 {
		it.path = nil
		return false
	}
	it.now, it.path = n, it.path[:last]
	it.seek(n.right, nil)
	return true
}

func (it *memoryIterator) Key() []byte   { return it.now.key }
func (it *memoryIterator) Value() []byte { return it.now.value }
func (it *memoryIterator) Err() error    { return it.err }
func (it *memoryIterator) Release()      { it.path, it.now = nil, nil }
