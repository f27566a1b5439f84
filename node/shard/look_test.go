package shard

import (
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// TestReadsShareState: reads that follow one another look at one state, until the
// caller ends it, or a slot has changed hands since.
func TestReadsShareState(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1), payload("set k old"))
	table := command.NewTable(data.Commands())
	words := words("get k")
	cmd, err := table.Lookup(words)
	if err != nil {
		t.Fatal(err)
	}
	view := new(command.View)
	defer view.End()
	expect := func(want string) {
		t.Helper()
		var r resp.Reply
		var args command.Args
		r.Init(3)
		args.Set(cmd, words)
		if behind := m.Read(&args, view, &r); behind {
			t.Fatal("the read is behind")
		}
		if v := valueOf(t, &r); string(v.Str) != want {
			t.Errorf("the read answered %q, not %q", v.Str, want)
		}
	}
	expect("old")
	apply(t, m, 1, payload("set k new"))
	expect("old")
	view.End()
	expect("new")

	var s slot.Set
	s.Add(slot.Of([]byte("k")))
	apply(t, m, 1, AppendSeal(nil, s, 2))
	expect(string(errChanging))
	apply(t, m, 1, AppendOwn(nil, s, 3), payload("set k back"))
	expect("back")
	apply(t, m, 1, AppendSeal(nil, s, 4), payload("flushall"))
	apply(t, m, 1, AppendOwn(nil, s, 5), payload("set k again"))
	expect("again")
}
