package shard

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// crowd is a payload of that many arguments, all but the first ones empty.
func crowd(n int, first ...string) []byte {
	b := binary.AppendUvarint(nil, uint64(n))
	for _, word := range first {
		b = append(binary.AppendUvarint(b, uint64(len(word))), word...)
	}
	return append(b, make([]byte, n-len(first))...)
}

// A command that stands in an entry and cannot be read is answered with an
// error, and the machine goes on; nobody can propose one.
func TestUnreadableCommandEndsNobody(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	bad := [][]byte{
		crowd(command.MaxArgs+1, "BITFIELD", "k"), // more than a client may give
		{3, 3, 'S', 'E', 'T', 1, 'k', 9, 'v'},     // cut off
		{},
		payload("get a b"), // an arity that no client can send
		payload("setrange"),
	}
	e := entry(m.Applied()+1, 1000, append(bad, payload("set k v"))...)
	if err := m.Apply([]Entry{e}); err != nil {
		t.Fatal(err)
	}
	replies := valuesOf(t, e)
	for i, payload := range bad {
		if v := replies[i]; !v.IsError() {
			t.Errorf("payload %d was answered with %s", i, resp.FormatCLI(v, false))
		}
		if _, err := m.Check(payload); err == nil {
			t.Errorf("payload %d may be proposed", i)
		}
	}
	if v := replies[len(bad)]; v.IsError() {
		t.Errorf("the command behind them: %s", resp.FormatCLI(v, false))
	}
}

// What a later version may have meant still ends the node.
func TestUnknownKindsEndTheNode(t *testing.T) {
	for name, payload := range map[string][]byte{
		"a record": {recordMark, 99, 1, 0}, "a command": payload("frobnicate k"), "a local command": payload("ping"),
	} {
		m := open(t, storage.NewMemory())
		if _, err := m.Check(payload); err == nil {
			t.Errorf("%s may be proposed", name)
		}
		if err := m.Apply([]Entry{entry(1, 1000, payload)}); err == nil {
			t.Errorf("%s of another version was applied", name)
		}
	}
}

// Whatever Check lets through can be applied, by an entry of its own.
func TestWhatMayBeProposedCanBeApplied(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	for _, payload := range [][]byte{
		crowd(command.MaxArgs, "BITFIELD", "k"), crowd(command.MaxArgs, "DEL", "k"), payload("append k v"),
		AppendSeal(nil, slot.Full(), 0), command.AppendTick(nil), command.AppendSweep(nil),
	} {
		if _, err := m.Check(payload); err != nil {
			t.Errorf("%.20q is refused: %v", payload, err)
		}
		e := entry(m.Applied()+1, 1000, payload)
		if err := m.Apply([]Entry{e}); err != nil {
			t.Fatalf("%.20q: %v", payload, err)
		}
		if v := valuesOf(t, e)[0]; strings.HasPrefix(string(v.Str), "ERR the command cannot be read") {
			t.Errorf("%.20q: %s", payload, v.Str)
		}
	}
}

// A handler that panics is undone, answered with an error, told and counted; what
// the same entry did before and does after it stands.
func TestPanicIsUndone(t *testing.T) {
	table := command.NewTable(data.Commands())
	cmd, err := table.Lookup(words("setnx k v"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Write = func(tx *command.Tx, args *command.Args, r *resp.Reply) error {
		key, value := args.Next(), args.Next()
		tx.SetString(key, value, 0)
		tx.SetString([]byte("{k}new"), value, 500_000)
		tx.Delete([]byte("{k}old"))
		if string(value) == "flush" {
			tx.Flush()
			tx.SetString([]byte("{k}old"), value, 0)
		}
		r.Array(5)
		panic("a mistake")
	}
	var told []string
	run := func(payloads ...[]byte) *Machine {
		m, err := Open(storage.NewMemory(), table, Options{Recovered: func(name string, _ any, stack []byte) {
			told = append(told, name)
			if !bytes.Contains(stack, []byte("refuse_test.go")) {
				t.Errorf("the stack does not show the handler:\n%s", stack)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
		replies := apply(t, m, 1000, payloads...)
		for i, p := range payloads {
			if boom := bytes.Contains(p, []byte("setnx")); boom != strings.HasPrefix(string(replies[i].Str), "ERR internal error") {
				t.Errorf("%q: %s", p, resp.FormatCLI(replies[i], false))
			}
		}
		return m
	}
	before := [][]byte{payload("set {k}old 1 px 99999"), payload("set k 0")}
	after := [][]byte{payload("incr k"), payload("append {k}old 2")}
	boom := [][]byte{payload("setnx k v"), payload("setnx k flush")}
	m := run(slices.Concat(before, boom, after)...)
	if m.Stats().Panics != 2 || len(told) != 2 || told[0] != "setnx" {
		t.Errorf("%d panics are counted, %q were told", m.Stats().Panics, told)
	}
	view, want := m.keys.View(0), run(slices.Concat(before, after)...).keys.View(0)
	defer view.Close()
	defer want.Close()
	for _, key := range []string{"k", "{k}old", "{k}new"} {
		a, foundA := view.Lookup([]byte(key))
		b, foundB := want.Lookup([]byte(key))
		if foundA != foundB || !bytes.Equal(a.Value, b.Value) || a.ExpireAt != b.ExpireAt {
			t.Errorf("%s: %q %d, without the panic %q %d", key, a.Value, a.ExpireAt, b.Value, b.ExpireAt)
		}
	}
	if view.Len() != want.Len() || m.Expiring() != 1 {
		t.Errorf("%d keys, without the panic %d; %d expire", view.Len(), want.Len(), m.Expiring())
	}
}

// A read that panics lets go of its view.
func TestPanicOfARead(t *testing.T) {
	table := command.NewTable(data.Commands())
	cmd, err := table.Lookup(words("get k"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Read = func(*command.View, *command.Args, *resp.Reply) error { panic("a mistake") }
	m, err := Open(storage.NewMemory(), table, Options{Recovered: func(string, any, []byte) {}})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	if v, _ := read(t, m, cmd, words("get k"), 0); !strings.HasPrefix(string(v.Str), "ERR internal error") {
		t.Errorf("answered with %s", resp.FormatCLI(v, false))
	}
	if err := m.Close(); err != nil { // waits for views
		t.Fatal(err)
	}
}

// No command makes a record that nothing can carry: all of it is refused, also
// where a key of any size meets a value of any size.
func TestRecordsThatNothingCarriesAreRefused(t *testing.T) {
	m := open(t, storage.NewMemory())
	const limit = command.MaxBulkLength
	half := strings.Repeat("k", keyspace.MaxRecord-limit/2)
	run := func(args ...string) resp.Value {
		var words [][]byte
		for _, a := range args {
			words = append(words, []byte(a))
		}
		e := entry(m.Applied()+1, 1000, command.AppendArgs(nil, words))
		e.MaxString = limit
		if err := m.Apply([]Entry{e}); err != nil {
			t.Fatal(err)
		}
		return valuesOf(t, e)[0]
	}
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	for _, c := range [][]string{
		{"SETRANGE", "k", strconv.Itoa(200 << 20), "x"},
		{"SETBIT", "k", strconv.Itoa(200 << 23), "1"},
		{"BITFIELD", "k", "SET", "u8", strconv.Itoa(200 << 23), "1"},
		{"SETRANGE", "{k}" + half, strconv.Itoa(limit/2 + 10), "x"},
		{"SETBIT", "{k}" + half, strconv.Itoa(limit*8 - 1), "1"},
	} {
		if v := run(c...); !v.IsError() {
			t.Errorf("%s: %s", c[0], resp.FormatCLI(v, false)[:20])
		}
	}
	if v := run("SETRANGE", "{k}v", strconv.Itoa(limit-1), "x"); v.IsError() {
		t.Errorf("SETRANGE to the limit: %s", v.Str)
	}
	for _, c := range [][]string{
		{"RENAME", "{k}v", "{k}" + half},
		{"RENAMENX", "{k}v", "{k}" + half},
		{"COPY", "{k}v", "{k}" + half},
		{"BITOP", "NOT", "{k}" + half, "{k}v"},
		{"MSET", "{k}2", "v", "{k}" + half, strings.Repeat("v", limit)},
		{"APPEND", "{k}v", "x"},
	} {
		if v := run(c...); !v.IsError() {
			t.Errorf("%s: %s", c[0], resp.FormatCLI(v, false)[:10])
		}
	}
	if m.Keys() != 1 {
		t.Errorf("%d keys are left", m.Keys())
	}
}
