// Package commandtest runs commands for tests, as a node does but for the log: on a
// keyspace in memory, one after the other. It plays them against real servers, too.
package commandtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/testbed/limit"
)

// Bench runs commands on one keyspace, with a clock of its own. It is for one
// goroutine.
type Bench struct {
	T     testing.TB
	Table *command.Table
	Keys  *keyspace.Keyspace
	// Now is the time of entries and readers, unix ms.
	Now int64
	// Limit is the node's proto-max-bulk-len.
	Limit int
	// Env is what Local commands work with.
	Env *command.Env
	// Behind is what the last read reported: see keyspace.View.
	Behind bool
	// Before and After, if set, run around each line of testdata; what After returns is
	// shown before the reply.
	Before func()
	After  func() string

	index uint64
}

// New returns a bench for the families' commands.
func New(t testing.TB, families ...[]*command.Command) *Bench {
	t.Helper()
	keys, err := keyspace.Open(storage.NewMemory(), keyspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{T: t, Table: command.NewTable(families...), Keys: keys, Now: 1000000000, Limit: 64 << 20}
	session := &command.Session{ID: 7, Addr: "127.0.0.1:5555", LAddr: "127.0.0.1:7001", Created: time.Now(), Authenticated: true}
	nothing := func() {}
	b.Env = &command.Env{
		Session: session, Table: b.Table, Park: parkUntilReady, Wake: nothing, Unwatch: nothing, Discard: nothing,
		Monitor: func() (bool, error) { return true, nil }, EndMonitor: nothing,
	}
	return b
}

// parkUntilReady waits for what is there already.
func parkUntilReady(_ time.Time, ready func() bool) error {
	if !ready() {
		return errors.New("it would wait")
	}
	return nil
}

// Do runs a line's command: see Words.
func (b *Bench) Do(line string) resp.Value {
	b.T.Helper()
	return b.Run(Words(b.T, line))
}

// Run runs one command, and returns its reply as a client sees it that speaks RESP3.
func (b *Bench) Run(args [][]byte) resp.Value {
	b.T.Helper()
	encoded := b.Encoded(args, 3)
	v, err := resp.Parse(encoded)
	if err != nil {
		b.T.Fatalf("%q: the reply %q: %v", args, encoded, err)
	}
	return v
}

// Encoded runs one command, and returns its reply in a version of the protocol.
func (b *Bench) Encoded(args [][]byte, proto int) []byte {
	b.T.Helper()
	cmd, err := b.Table.Lookup(args)
	if strings.HasPrefix(string(args[0]), "\x00") {
		cmd, err = b.Table.Replicated(args)
	}
	var r resp.Reply
	r.Init(proto)
	if err != nil {
		r.Fail(err)
		return r.Bytes()
	}
	var words command.Args
	words.Set(cmd, args)
	switch {
	case cmd.WritesWith(args):
		idle, answer := b.idle(cmd, args, proto)
		before := b.watch(cmd, args)
		tx := b.Begin()
		defer tx.Discard()
		tx.Run(&words, &r)
		if err := tx.Commit(); err != nil {
			b.T.Fatal(err)
		}
		if idle && (!bytes.Equal(answer, r.Bytes()) || !slices.Equal(b.watch(cmd, args), before)) {
			b.T.Fatalf("%q changes nothing and is answered %q, says its row; the answer was %q", args, answer, r.Bytes())
		}
	case cmd.Read != nil:
		v := &command.View{View: b.Keys.View(b.Now), Reading: command.Reading{LocalNow: b.Now, MaxString: command.MaxString(b.Limit)}}
		defer v.Close()
		v.Run(&words, &r)
		b.Behind = v.Behind()
	case cmd.Local == nil:
		b.T.Fatalf("%s is the front end's", cmd.Name)
	default:
		b.Env.Session.LastCommand.Store(cmd)
		ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
		defer cancel()
		r.Begin()
		if err := cmd.Local(ctx, b.Env, &words, &r); err != nil {
			r.Fail(err)
		}
	}
	return r.Bytes()
}

// idle asks the row whether the command would change nothing: Command.Idle.
func (b *Bench) idle(cmd *command.Command, args [][]byte, proto int) (idle bool, answer []byte) {
	if cmd.Idle == nil {
		return false, nil
	}
	v := &command.View{View: b.Keys.View(b.Now), Reading: command.Reading{LocalNow: b.Now, Tries: true}}
	defer v.Close()
	var words command.Args
	words.Set(cmd, args)
	var r resp.Reply
	r.Init(proto)
	v.Run(&words, &r)
	return v.Idle && !v.Behind(), r.Bytes()
}

// watch returns what WATCH would remember of the command's keys.
func (b *Bench) watch(cmd *command.Command, args [][]byte) (all []keyspace.Watch) {
	v := b.Keys.View(b.Now)
	defer v.Close()
	cmd.EachKey(args, func(k command.Key) bool {
		all = append(all, v.Watch(k.Name))
		return true
	})
	return all
}

// Begin begins an entry of the log, in which a command may run. The caller commits it.
func (b *Bench) Begin() *command.Tx {
	b.index++
	tx := &command.Tx{Tx: b.Keys.Begin()}
	tx.StartEntry(command.Entry{
		Index: b.index, Time: b.Now, Seed: 1, Level: command.Level, MaxString: command.MaxString(b.Limit),
	})
	return tx
}

// Words splits a line at spaces; a word in double quotes is a Go string.
func Words(t testing.TB, line string) [][]byte {
	t.Helper()
	var args [][]byte
	for _, word := range regexp.MustCompile(`"(\\.|[^"\\])*"|\S+`).FindAllString(line, -1) {
		if strings.HasPrefix(word, `"`) {
			text, err := strconv.Unquote(word)
			if err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			word = text
		}
		args = append(args, []byte(word))
	}
	return args
}

// Show returns a reply as it stands in testdata: as redis-cli prints it on a terminal,
// or, where proto is not 0, as it is encoded.
func (b *Bench) Show(line string, proto int) string {
	b.T.Helper()
	if proto != 0 {
		return fmt.Sprintf("%q\n", b.Encoded(Words(b.T, line), proto))
	}
	return resp.FormatCLI(b.Do(line), true)
}
