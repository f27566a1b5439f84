package shard

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendOwn(nil, slot.Full(), 7))
	f.Add(AppendSeal(nil, slot.Set{}, 1<<60))
	some := slot.FromRanges([]slot.Range{{Start: 3, End: 9}, {Start: 12, End: 12}})
	f.Add(AppendWatch(nil, 1<<63, some))
	f.Add(AppendUnwatch(nil, 5))
	f.Add(AppendImport(nil, 5, some))
	f.Add(AppendEndImport(nil, 5))
	f.Add(AppendDrop(nil, some, 9, 1000))
	f.Add(AppendMark(nil, some, MarkImporting, 9))
	f.Add(AppendPiece(nil, 5, Position{}, Position{Index: 7, After: []byte("x")}, Piece{Now: 9, Complete: 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(encode(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%v became %v, %v", r, again, err)
		}
	})
}

// encode appends a record as its Append function does.
func encode(r *record) []byte {
	switch r.kind {
	case kindOwn:
		return AppendOwn(nil, r.slots, r.number)
	case kindSeal:
		return AppendSeal(nil, r.slots, r.number)
	case kindWatch:
		return AppendWatch(nil, r.number, r.slots)
	case kindUnwatch:
		return AppendUnwatch(nil, r.number)
	case kindImport:
		return AppendImport(nil, r.number, r.slots)
	case kindPiece:
		p := AppendPiece(nil, r.number, Position{}, r.to, r.piece)
		digest := (Position{}).Digest()
		return bytes.Replace(p, digest[:], r.from[:], 1)
	case kindEndImport:
		return AppendEndImport(nil, r.number)
	case kindDrop:
		return AppendDrop(nil, r.slots, r.number, r.limit)
	default:
		return AppendMark(nil, r.slots, r.mark, r.number)
	}
}

func FuzzDecodeSlotTable(f *testing.F) {
	table := new(slotTable)
	f.Add(table.encode())
	for n := range table {
		table[n] = newSlotState(n%3 == 0, uint64(n/100))
	}
	f.Add(table.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := decodeSlotTable(b)
		if err != nil {
			return
		}
		again, err := decodeSlotTable(table.encode())
		if err != nil || *again != *table {
			t.Fatalf("a table changed on its way: %v", err)
		}
	})
}

func FuzzDecodeMarks(f *testing.F) {
	f.Add(marks{}.encode())
	f.Add(marks{3: {MarkMigrating, 1}, 900: {MarkStable, 1 << 60}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMarks(b)
		if err != nil {
			return
		}
		again, err := decodeMarks(m.encode())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%v became %v, %v", m, again, err)
		}
	})
}

// FuzzApply: commands of arbitrary arguments, some records among them, do the
// same on two replicas, one of which is opened anew in the middle, and panic on
// none. The input is lines of words; of those that begin with # a payload as it is, and with
// ( a transaction.
func FuzzApply(f *testing.F) {
	for _, text := range []string{
		"set k v\nget k\nincr k\nset n 9223372036854775807\nincr n",
		"set k v px 10\npersist k\npexpire k 1\n\x00\nget k",
		"mset a 1 b 2 c 3\ndel a b\nflushall\nexists c",
		"( set k 1 ; incr k ; get k ; hset k f v )\n( append k x ; del k ; set k 2 px 3 ; zadd z 1 a )\n( zrandmember z ; keys * )",
		"#\x00\x03\x01\x01k\x02\x00\x00\x03\x03set\x01k\x01v\nget k",
		"set k v ex 9223372036854775807\nexpire k -9223372036854775808\nset k",
		"set #00ff v nx get keepttl\nset k v exat 99999999999999999999",
	} {
		f.Add([]byte(text), uint8(2))
	}
	k := slot.FromRanges([]slot.Range{{Start: slot.Of([]byte("k")), End: slot.Of([]byte("k"))}})
	for _, payloads := range [][][]byte{
		{AppendMark(nil, k, MarkMigrating, 1), append(command.AppendAsking(nil), payload("get k")...), AppendSeal(nil, k, 2), AppendDrop(nil, k, 2, 1)},
		{AppendWatch(nil, 1, k), payload("set k v"), AppendUnwatch(nil, 1)},
		{AppendSeal(nil, k, 2), AppendImport(nil, 1, k), AppendPiece(nil, 1, Position{}, Position{Index: 1}, Piece{Epoch: 3, Complete: 3}), AppendOwn(nil, k, 3)},
		{AppendSeal(nil, k, 2), AppendImport(nil, 1, k), AppendPiece(nil, 1, Position{}, Position{Index: 1}, Piece{Records: pieceOf(f, "k")}), AppendEndImport(nil, 1)},
	} {
		var text []byte
		for _, p := range payloads {
			text = append(append(append(text, '#'), p...), '\n')
		}
		f.Add(text, uint8(3))
	}
	table := command.NewTable(data.Commands())
	for _, c := range table.Commands() {
		if c.Write != nil || c.Read != nil {
			f.Add([]byte("set k 10\n"+c.Name+strings.Repeat(" k", max(c.Arity, -c.Arity)-1)+"\n"+c.Name+" k 1 2 3 k"), uint8(1))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		if len(text) > 4<<10 {
			t.Skip()
		}
		var log []Entry
		log = append(log, entry(1, 1000, AppendOwn(nil, slot.Full(), 1)))
		for i, line := range bytes.Split(text, []byte("\n")) {
			e := entry(uint64(i+2), 1000+int64(i), nil)
			switch words := bytes.Fields(line); {
			case len(words) == 0:
				e.Commands = [][]byte{command.AppendSweep(nil)}
			case words[0][0] == '(': // a transaction of what stands between semicolons
				e.Commands = [][]byte{command.AppendTransaction(nil, nil)}
				for _, part := range bytes.Split(line[bytes.IndexByte(line, '(')+1:], []byte(";")) {
					if words := bytes.Fields(part); len(words) > 0 {
						e.Commands[0] = command.AppendArgs(e.Commands[0], words)
					}
				}
			case words[0][0] == '#': // a payload as it is
				e.Commands = [][]byte{words[0][1:]}
			default:
				e.Commands = [][]byte{command.AppendArgs(nil, words)}
			}
			log = append(log, e)
		}
		replies, hash := replay(t, log, len(log))
		again, hash2 := replay(t, log, int(cut)%len(log)+1)
		if !bytes.Equal(replies, again) || hash != hash2 {
			t.Fatalf("two replicas differ:\n%q\n%q", replies, again)
		}
	})
}

// pieceOf returns the records of a key as another shard would send them.
func pieceOf(t testing.TB, key string) []byte {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1), payload("set "+key+" v"), AppendWatch(nil, 1, slot.Full()))
	p, err := m.Pull(1, Position{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return p.Records
}

// replay applies a log, opening the machine anew before the entry at cut, and
// returns the replies and the digest. Entries that stop a node are left out.
func replay(t *testing.T, log []Entry, cut int) ([]byte, [32]byte) {
	store := storage.NewMemory()
	m, err := Open(store, command.NewTable(data.Commands()), Options{Keyspace: keyspace.Options{CacheBytes: 1 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	var replies []byte
	for i, e := range log {
		if i == cut {
			m = reopen(t, m, store)
		}
		reply := e.Replies[0]
		reply.Init(3)
		if err := m.Apply([]Entry{e}); err != nil {
			replies = append(replies, "stopped\n"...)
			m = reopen(t, m, store)
			continue
		}
		replies = append(replies, reply.Bytes()...)
	}
	hash, err := m.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return replies, hash
}
