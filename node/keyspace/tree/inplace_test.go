package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// Pages that nobody was shown are changed in place from flush to flush; what Get, At
// and Ascend have shown stays what it is.
func TestInPlace(t *testing.T) {
	m, r := newMemory(), rand.New(rand.NewPCG(5, 5))
	root := Root{}
	type shown struct{ slice, was []byte }
	var all []shown
	show := func(b []byte) { all = append(all, shown{b, bytes.Clone(b)}) }
	for i := range 3000 {
		tree := New(m, root, &m.numbers, 200)
		key := fmt.Appendf(nil, "key%03d", r.IntN(300))
		var err error
		switch r.IntN(8) {
		case 0:
			_, err = tree.Delete(key)
		case 1:
			var value []byte
			value, _, err = tree.Get(key)
			show(value)
		case 2:
			if tree.Len() > 0 {
				var k, v []byte
				k, v, err = tree.At(r.Int64N(tree.Len()))
				show(k)
				show(v)
			}
		case 3:
			n := 0
			err = tree.Ascend(r.Int64N(tree.Len()+1), func(k, v []byte) bool { show(k); show(v); n++; return n < 5 })
		default:
			_, err = tree.Put(key, fmt.Append(nil, i))
		}
		if err != nil {
			t.Fatal(err)
		}
		root = flush(t, tree)
	}
	if m.inPlace == 0 {
		t.Error("no page was changed in place")
	}
	for _, s := range all {
		if !bytes.Equal(s.slice, s.was) {
			t.Fatalf("%q was shown, and is %q now", s.was, s.slice)
		}
	}
	if err := NewView(m, root).Check(); err != nil {
		t.Fatal(err)
	}
}
