package keyspace

import "bytes"

// radixTree counts the nodes of a radix tree of ids, as Redis's rax has them: one for
// each key, one where keys part, and one for several bytes, or the last one, on the way
// to either. The keys are added in order.
type radixTree struct {
	last []byte
	// forks are the depths at which keys part on the way to the last one.
	forks []int
	nodes int64
}

// step counts a node at a depth, and what leads to it from the fork above, or -1, the
// top.
func (t *radixTree) step(depth, above int) {
	t.nodes++
	if depth > above+1 {
		t.nodes++
	}
}

// part ends what lies below a depth on the way to the last key.
func (t *radixTree) part(depth int) {
	below := len(t.last)
	for {
		above := depth
		if n := len(t.forks); n > 0 {
			above = max(above, t.forks[n-1])
		}
		t.step(below, above)
		n := len(t.forks)
		if n == 0 || t.forks[n-1] <= depth {
			return
		}
		below, t.forks = t.forks[n-1], t.forks[:n-1]
	}
}

func (t *radixTree) add(key []byte) {
	if t.last != nil {
		depth := 0
		for depth < len(key) && t.last[depth] == key[depth] {
			depth++
		}
		t.part(depth)
		if n := len(t.forks); n == 0 || t.forks[n-1] < depth {
			t.forks = append(t.forks, depth)
		}
	}
	t.last = append(t.last[:0], bytes.Clone(key)...)
}

// end returns how many nodes there are.
func (t *radixTree) end() int64 {
	if t.last == nil {
		return 1
	}
	t.part(-1)
	return t.nodes
}
