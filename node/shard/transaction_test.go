package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// A handler that panics in a transaction is undone alone.
func TestPanicInTransaction(t *testing.T) {
	table := command.NewTable(data.Commands())
	cmd, err := table.Lookup(words("setnx k v"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Write = func(tx *command.Tx, args *command.Args, r *resp.Reply) error {
		tx.SetString(args.Next(), []byte("half"), 0)
		tx.Flush()
		r.Array(3)
		r.OK()
		panic("a mistake")
	}
	m, err := Open(storage.NewMemory(), table, Options{Recovered: func(string, any, []byte) {}})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	v := apply(t, m, 1000, together("set k 1", "setnx k 2", "incr k", "setnx k 3", "get k"))[0]
	want := "1) OK\n2) (error) " + string(errPanicked) + "\n3) (integer) 2\n4) (error) " + string(errPanicked) + "\n5) \"2\"\n"
	if got := resp.FormatCLI(v, true); got != want {
		t.Errorf("answered\n%swanted\n%s", got, want)
	}
	if m.Keys() != 1 || m.Stats().Panics != 2 {
		t.Errorf("%d keys, %d panics", m.Keys(), m.Stats().Panics)
	}
}

// A transaction weighs what its commands do together, and one that could make more than
// memory has is refused before it is proposed: of what one key may become, the largest.
func TestWeightOfTransaction(t *testing.T) {
	m := open(t, storage.NewMemory())
	huge := func(i int) string { return fmt.Sprintf("setrange {k}%d 60000000 x", i) }
	var same, others []string
	for i := range 20 {
		same, others = append(same, huge(0)), append(others, huge(i))
	}
	for _, tc := range []struct {
		lines  []string
		weighs int
		err    error
	}{
		{[]string{"set k v", "get k"}, 0, nil},
		{[]string{"setrange k 1000 x", "setrange k 500 x", "setbit k 8000 1"}, 1000 + 500 + 1000, nil},
		{same, 20 * 60000000, nil},
		{others, 20 * 60000000, errTransactionTooLarge},
		{[]string{"setrange k 9223372036854775807 x", "setrange {k}2 2000000000 x"}, unknownWeight, nil}, // both are refused
		{[]string{"copy k {k}2", huge(1), "bitop not {k}3 k"}, unknownWeight, nil},
	} {
		if weighs, err := m.Check(together(tc.lines...)); weighs != tc.weighs || err != tc.err {
			t.Errorf("%.60q weighs %d, %v; not %d, %v", tc.lines, weighs, err, tc.weighs, tc.err)
		}
	}
}

// What a transaction copies is counted when it runs, on all replicas alike.
func TestCopiesInTransaction(t *testing.T) {
	m := open(t, storage.NewMemory())
	const size = 60_000_000
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1), payload(fmt.Sprintf("setrange k %d x", size-1)))
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("copy k {k}%d", i), fmt.Sprintf("del {k}%d", i))
	}
	v := apply(t, m, 1000, together(lines...))[0]
	for i := 0; i < len(lines); i += 2 {
		fits := (i/2+1)*size <= maxTransaction
		if got := v.Elems[i]; got.IsError() == fits || got.IsError() && string(got.Str) != string(errTransactionTooLarge) {
			t.Errorf("copy %d: %s", i/2, resp.FormatCLI(got, true))
		}
	}
	if m.Keys() != 1 {
		t.Errorf("%d keys are left", m.Keys())
	}
}

// Where nobody waits for the reply, as on replicas, the transaction runs all the same.
func TestTransactionWithoutReply(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	e := Entry{Entry: command.Entry{Index: 2, Time: 2}, Commands: [][]byte{together("set k "+strings.Repeat("v", 9), "get k", "keys *")}}
	if err := m.Apply([]Entry{e}); err != nil || m.Keys() != 1 {
		t.Errorf("%d keys, %v", m.Keys(), err)
	}
}
