package keyspace

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// FuzzRecord: a stored record is read as what was written, or refused.
func FuzzRecord(f *testing.F) {
	at := place([]byte("k"))
	f.Add(newString(at, []byte("value"), 0, Version{}).kept.Value())
	f.Add(newString(at, nil, math.MaxInt64, Version{Index: math.MaxUint64, Op: math.MaxUint32}).kept.Value())
	f.Add([]byte{byte(TypeString), 0x80, 0x80})
	f.Add([]byte{byte(TypeHash), 0, 1, 0, 2, 1, 'f', 1, 'v', 1, 'g', 0})
	f.Add([]byte{byte(TypeHash) | byte(flagVolatile)<<4, 9, 1, 0, 1, 7, 1, 'f', 1, 'v', 7})
	f.Add([]byte{byte(TypeSortedSet), 0, 1, 0, 2, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 1, 'b', 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{byte(TypeList), 0, 1, 0, 5, 2, 1, 'a', 1, '7'})
	f.Add([]byte{byte(TypeSet), 0, 1, 0, 2, 1, 'b', 1, 'a'})
	f.Add([]byte{byte(TypeStream), 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(inlineStreamRecord(f))
	f.Add([]byte{byte(TypeSet) | byte(flagIntegers)<<4, 0, 1, 0, 2, 0x7f, 0xff, 0x80, 0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		r, err := decodeRecord(at, encoded)
		if err != nil {
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			return
		}
		again := testRecord(r.stored, r.meta, r.soonest, r.body)
		if !bytes.Equal(again.stored, at) || !equalMeta(again.meta, r.meta) || !bytes.Equal(again.body, r.body) {
			t.Fatalf("%+v is written as %+v", r.meta, again.meta)
		}
		readAll(r)
		back, err := decodeRecord(at, again.kept.Value())
		if err != nil || !equalMeta(back.meta, r.meta) {
			t.Fatalf("%+v became %+v, %v", r.meta, back, err)
		}
	})
}

func place(key []byte) storedKey { return appendStoredKey(nil, slot.Of(key), fingerprint(key), key) }

// readAll reads all that a record of any type holds, every way.
func readAll(r *record) {
	view := Empty()
	h, s := HashView{valueView{TypeHash, view, nil}}, SetView{valueView{TypeSet, view, nil}}
	z, l := SortedSetView{valueView{TypeSortedSet, view, nil}}, ListView{valueView{TypeList, view, nil}}
	x := &StreamView{valueView: valueView{TypeStream, view, nil}}
	switch r.meta.Type {
	case TypeHash:
		h.rec = r
	case TypeSet:
		s.rec = r
	case TypeSortedSet:
		z.rec = r
	case TypeList:
		l.rec = r
	case TypeStream:
		x.rec = r
	}
	r.roots() // of a big value, whose pages are not here
	if _, big := r.object(); big {
		return
	}
	view.live(r)
	h.Each(func(field, _ []byte, _ int64) bool { h.Get(field); return true })
	h.At(h.Len() - 1)
	for member := range s.Members() {
		s.Has(member)
	}
	s.At(s.Len() - 1)
	for member, score := range z.From(z.Len()-1, true) {
		z.Rank(member)
		z.FirstByScore(score, true)
		z.FirstByMember(member, false)
	}
	for range l.From(l.Len()-1, true) {
		l.At(l.Len() - 1)
	}
	x.parse()
	readStream(x)
}

// readStream reads all that a stream holds.
func readStream(x *StreamView) {
	for e := range x.Entries(StreamID{}, MaxStreamID, true) {
		for range e.Texts {
			x.Entry(e.ID)
		}
	}
	x.RadixTree()
	x.Groups(func(g StreamGroup) bool {
		for c := range x.Consumers(g) {
			for range x.PendingOf(g, c, StreamID{}) {
				x.CountPendingOf(g, c)
			}
		}
		for p := range x.Pending(g, StreamID{}) {
			x.Owner(g, p)
		}
		for range x.PendingIdle(g) {
			x.CountPending(g)
		}
		return true
	})
}

// inlineStreamRecord is a stream with some of everything.
func inlineStreamRecord(t testing.TB) []byte {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) {
		s, _ := tx.Stream([]byte("k"))
		s.Append(StreamID{1, 0}, [][]byte{[]byte("a"), []byte("b")})
		s.Append(StreamID{1, 1}, [][]byte{[]byte("a"), []byte("7"), []byte("c"), nil})
		s.AddGroup([]byte("g"), StreamID{1, 0}, 1)
		g, _ := s.Group([]byte("g"))
		s.Deliver(g, s.AddConsumer(g, []byte("c"), 5), StreamID{1, 0}, 5, 1)
		s.End()
	})
	view := ks.View(0)
	defer view.Close()
	r := view.ref([]byte("k"))
	return bytes.Clone(view.load(&r).kept.Value())
}

func equalMeta(a, b Meta) bool {
	sameValue := bytes.Equal(a.Value, b.Value)
	a.Value, b.Value = nil, nil
	return sameValue && reflect.DeepEqual(a, b)
}

// FuzzLayout: stored keys and expiry entries give back what they were made of,
// and sort as (slot, fingerprint, key) and (time, …).
func FuzzLayout(f *testing.F) {
	f.Add([]byte("a"), []byte("b"), int64(1), int64(2))
	f.Add([]byte("{x}a"), []byte("{x}"), int64(0), int64(math.MaxInt64))
	f.Add([]byte{}, []byte{0xff, 0}, int64(7), int64(7))
	f.Fuzz(func(t *testing.T, a, b []byte, atA, atB int64) {
		if atA < 0 || atB < 0 {
			t.Skip() // no time of expiry is
		}
		ka, kb := place(a), place(b)
		for key, k := range map[string]storedKey{string(a): ka, string(b): kb} {
			if string(k.key()) != key || k.slot() != slot.Of([]byte(key)) || k.fingerprint() != fingerprint([]byte(key)) {
				t.Fatalf("%q is stored at %x", key, k)
			}
		}
		if (bytes.Compare(ka, kb) < 0) != (ka.cursor() < kb.cursor() || ka.cursor() == kb.cursor() && bytes.Compare(a, b) < 0) {
			t.Fatalf("%x and %x sort otherwise than %q and %q", ka, kb, a, b)
		}
		ea, eb := appendExpiryKey(nil, atA, ka), appendExpiryKey(nil, atB, kb)
		if expiryAt(ea) != atA || !bytes.Equal(expiryKey(ea), a) {
			t.Fatalf("%q at %d is stored at %x", a, atA, ea)
		}
		if atA != atB && (bytes.Compare(ea, eb) < 0) != (atA < atB) {
			t.Fatalf("%x and %x sort otherwise than %d and %d", ea, eb, atA, atB)
		}
		if bytes.Compare(expiryBound(atA), ea) > 0 {
			t.Fatalf("%x is below its bound", ea)
		}
	})
}

// FuzzMoves: what is stored of slots that move is read as what was written, or refused.
func FuzzMoves(f *testing.F) {
	some := slot.FromRanges([]slot.Range{{Start: 3, End: 9}})
	f.Add((&moves{dropping: some}).derive().encode())
	m := &moves{
		watches: []watching{{job: 1, slots: some, lost: true}, {job: 2, log: newLogID(Version{3, 4})}},
		imports: []importing{{job: 5, slots: some, left: some, at: Position{Changes: true, Index: 3, After: []byte("x")}, complete: 7}},
	}
	f.Add(m.derive().encode())
	f.Fuzz(func(t *testing.T, encoded []byte) {
		m, err := decodeMoves(encoded)
		if err != nil || m == nil {
			return
		}
		again, err := decodeMoves(m.encode())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// FuzzPulled: what travels between nodes is read as what was sent, or refused, and a piece
// that passes its Check is taken.
func FuzzPulled(f *testing.F) {
	at := place([]byte("k"))
	record := appendPieceRecord(nil, at, newString(at, []byte("v"), 9, Version{1, 2}).kept.Value(), true)
	page := pageKey(at.slot(), objectID{1}, 3)
	record = appendPieceRecord(record, page[:], []byte("page"), true)
	record = appendPieceRecord(record, remainsKey(at.slot(), objectID{1}), nil, true)
	p := Pulled{Piece: Piece{Records: record, Now: 5, Epoch: 3, Complete: 3}, Next: Position{Index: 7, After: at}, Sealed: 3, End: true}
	f.Add(p.Append(nil), record)
	f.Add((&Pulled{}).Append(nil), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, encoded, records []byte) {
		if p, err := DecodePulled(encoded); err == nil {
			if again, err := DecodePulled(p.Append(nil)); err != nil || !reflect.DeepEqual(again, p) {
				t.Fatalf("%+v became %+v, %v", p, again, err)
			}
		}
		p := Piece{Records: records}
		slots, err := p.Check()
		if err != nil {
			return
		}
		ks := open(t, storage.NewMemory())
		write(t, ks, 1, 1, func(tx *Tx) {
			if err := tx.Import(1, &slots); err != nil {
				t.Fatal(err)
			}
			if err := tx.Take(1, (Position{}).Digest(), Position{Index: 1}, &p, slots); err != nil {
				t.Fatal(err)
			}
		})
		checkpoint(t, ks)
		write(t, ks, 2, 1, func(tx *Tx) {
			if tx.EndImport(1); tx.Drop(&slots, 1<<20) > 0 && tx.storedIn(&slots) > 0 {
				t.Fatal("something is left")
			}
		})
	})
}

// FuzzStreamItem: whatever an item of a page of a stream is, it is read as what was written,
// or refused.
func FuzzStreamItem(f *testing.F) {
	id := StreamID{1, 2}.appendKey(nil)
	node := newStreamNode(StreamID{1, 2}, appendElement(nil, []byte("field")))
	node.add(StreamID{1, 2}, [][]byte{[]byte("field"), []byte("value")}, node.fields)
	f.Add(id, node.appendValue(nil))
	f.Add(id, appendEntry(nil, [][]byte{[]byte("field"), []byte("value")}))
	f.Add(append([]byte{groupClass}, "group"...), []byte{1, 2, 3, 4})
	f.Add(append(groupPrefix(consumerClass, 1), "consumer"...), []byte{1, 2, 3})
	f.Add(pendingKey(1, StreamID{1, 2}), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if n, ok := decodeNode(key, value); ok && !n.full(0) {
			if again, ok := decodeNode(key, n.appendValue(nil)); !ok || !reflect.DeepEqual(again, n) {
				t.Fatalf("%+v became %+v", n, again)
			}
		}
		if e, ok := decodeEntry(StreamID{}, value); ok {
			var texts [][]byte
			for text := range e.Texts {
				texts = append(texts, text)
			}
			if again, ok := decodeEntry(StreamID{}, appendEntry(nil, texts)); !ok || again.Len() != e.Len() || len(texts) != 2*e.Len() {
				t.Fatalf("%q became %+v", texts, again)
			}
		}
		soundGroupItem(key, value)
	})
}
