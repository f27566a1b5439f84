package command

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/genuineh/aikv/node/keyspace"
)

// decoded is all that a transaction's payload says.
func decoded(payload []byte) (watched []Watched, commands [][][]byte, err error) {
	t, err := DecodeTransaction(payload)
	if err != nil {
		return nil, nil, err
	}
	for {
		w, more, err := t.Watched()
		if err != nil {
			return nil, nil, err
		}
		if !more {
			break
		}
		watched = append(watched, w)
	}
	for {
		args, more, err := t.Command(nil)
		if err != nil {
			return nil, nil, err
		}
		if !more {
			return watched, commands, nil
		}
		commands = append(commands, args)
	}
}

func transactionOf(watched []Watched, commands ...[][]byte) []byte {
	payload := AppendTransaction(nil, watched)
	for _, args := range commands {
		payload = AppendArgs(payload, args)
	}
	return payload
}

func TestTransactionPayload(t *testing.T) {
	watched := []Watched{
		{Key: []byte("a"), Watch: keyspace.Watch{Version: keyspace.Version{Index: 1 << 40, Op: 1<<32 - 1}, Fields: 3}},
		{Key: []byte{}, Watch: keyspace.Watch{}},
	}
	set, get := [][]byte{[]byte("SET"), []byte("k"), {}}, [][]byte{[]byte("GET"), []byte("k")}
	for _, commands := range [][][][]byte{nil, {set}, {set, get, set}} {
		for _, w := range [][]Watched{nil, watched[:1], watched} {
			payload := transactionOf(w, commands...)
			if !IsTransaction(payload) {
				t.Fatalf("%q is none", payload)
			}
			gotWatched, gotCommands, err := decoded(payload)
			if err != nil || !reflect.DeepEqual(gotWatched, w) || !reflect.DeepEqual(gotCommands, commands) {
				t.Errorf("%v, %q became %v, %q, %v", w, commands, gotWatched, gotCommands, err)
			}
		}
	}
	whole := transactionOf(watched, set, get)
	complete := map[int]bool{len(transactionOf(watched)): true, len(transactionOf(watched, set)): true}
	for n := 2; n < len(whole); n++ {
		if _, _, err := decoded(whole[:n]); (err == nil) != complete[n] {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	for _, payload := range [][]byte{AppendArgs(nil, set), {}, {0}, {0, 1, 0}, {1, TransactionKind}} {
		if IsTransaction(payload) {
			t.Errorf("%q is taken for a transaction", payload)
		}
	}
}

// FuzzTransaction: no payload makes the decoder fail in another way than by an error,
// take memory that its length does not explain, or say the same as another one.
func FuzzTransaction(f *testing.F) {
	f.Add(transactionOf(nil, [][]byte{[]byte("PING")}))
	f.Add(transactionOf([]Watched{{Key: []byte("k"), Watch: keyspace.Watch{Version: keyspace.Version{Index: 5, Op: 2}, Fields: 7}}},
		[][]byte{[]byte("SET"), []byte("k"), []byte("v")}, [][]byte{[]byte("GET"), []byte("k")}))
	f.Add([]byte{0, TransactionKind, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !IsTransaction(payload) {
			return
		}
		watched, commands, err := decoded(payload)
		if err != nil {
			return
		}
		if again := transactionOf(watched, commands...); !bytes.Equal(again, payload) {
			t.Fatalf("%q says the same as %q", payload, again)
		}
	})
}
