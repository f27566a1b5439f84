package snapshot

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/transport"
)

// pieces passes the pieces of a stream on to a receiver, and checks that a frame
// between nodes takes each.
type pieces struct {
	t      *testing.T
	stream chan []byte
}

func (p pieces) Send(piece []byte) error {
	if len(piece) > transport.DefaultMaxFrame {
		p.t.Errorf("a piece of %d bytes does not fit into a frame", len(piece))
	}
	p.stream <- piece
	return nil
}

func (p pieces) Finish() error { return nil }
func (p pieces) Abort(error)   {}

func (p pieces) Next() ([]byte, error) {
	if piece, ok := <-p.stream; ok {
		return piece, nil
	}
	return nil, io.EOF
}

func (p pieces) Confirm() error { return nil }
func (p pieces) Close()         {}

// The largest record that the keyspace makes can be stored, copied and read.
func TestLargestRecordIsCopied(t *testing.T) {
	level := func() storage.Store {
		store, err := storage.OpenLevel(t.TempDir(), storage.LevelOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	keys, err := keyspace.Open(level(), keyspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte("k"), 20<<20)
	value := bytes.Repeat([]byte("v"), keyspace.MaxRecord-len(key))
	tx := keys.Begin()
	tx.StartEntry(1, 1000)
	tx.SetString(key, value, 5000)
	if tx.TooLarge() {
		t.Fatal("the keyspace refuses it")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	p := pieces{t, make(chan []byte)}
	sent := make(chan error, 1)
	go func() {
		defer close(p.stream)
		sent <- send(context.Background(), func(index uint64) (multiraft.Point, error) {
			return multiraft.Point{Index: index, Term: somewhere.Term, Conf: somewhere.Conf}, nil
		}, keys, p, NewPace(1<<40, sched.System))
	}()
	to := level()
	if _, err := receive(p, to); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	copied, err := keyspace.Open(to, keyspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view := copied.View(0)
	defer view.Close()
	if m, found := view.Lookup(key); !found || !bytes.Equal(m.Value, value) || m.ExpireAt != 5000 {
		t.Errorf("the copy has %v, %d bytes", found, len(m.Value))
	}
}
