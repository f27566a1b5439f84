package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

var allSlots = slot.Full()

// pullAt returns what one pull from a position brings.
func pullAt(t testing.TB, ks *Keyspace, job uint64, at Position, maxBytes int) Pulled {
	t.Helper()
	view := ks.View(0)
	defer view.Close()
	p, err := view.Pull(job, at, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// recordsOf returns the stored keys of a piece, with a minus where they are gone.
func recordsOf(t testing.TB, p *Piece) (keys []string) {
	t.Helper()
	for r := (decoder{rest: p.Records}); len(r.rest) > 0; {
		rec := r.pieceRecord()
		if r.failed {
			t.Fatal("the piece cannot be read")
		}
		sign := "+"
		if !rec.there {
			sign = "-"
		}
		if name := rec.stored[1:]; rec.stored[0] == classKey {
			keys = append(keys, sign+string(name[keyHeader-1:]))
		} else {
			keys = append(keys, fmt.Sprintf("%s%x", sign, rec.stored[0]))
		}
	}
	return keys
}

// A key stands in the change log once, however often it changes, and at the last place.
func TestChangeLogHoldsAKeyOnce(t *testing.T) {
	ks := open(t, storage.NewMemory())
	set := func(tx *Tx, key, value string) { tx.SetString([]byte(key), []byte(value), 0) }
	write(t, ks, 1, 1, func(tx *Tx) {
		set(tx, "before", "1")
		tx.BeginLog(7, &allSlots)
		set(tx, "hot", "1")
	})
	p := pullAt(t, ks, 7, Position{}, 1<<20)
	if !p.End || len(recordsOf(t, &p.Piece)) != 2 {
		t.Fatalf("at first there is %q, end %v", recordsOf(t, &p.Piece), p.End)
	}
	at := p.Next
	for i := range uint64(300) {
		write(t, ks, 2+i, 1, func(tx *Tx) {
			for range 3 {
				set(tx, "hot", fmt.Sprint(i))
			}
			if i == 100 {
				set(tx, "warm", "x")
				set(tx, "gone", "x")
			}
			if i == 200 {
				tx.Delete([]byte("gone"))
			}
		})
		if i%50 == 0 {
			checkpoint(t, ks)
		}
	}
	p = pullAt(t, ks, 7, at, 1<<20)
	if got := fmt.Sprint(recordsOf(t, &p.Piece)); got != "[+warm -gone +hot]" || !p.End {
		t.Errorf("then there is %s, end %v", got, p.End)
	}
	entries := 0
	each(t, ks, classChange, func(_, _ []byte) { entries++ })
	if entries != 2*3 { // each at its place and by its key
		t.Errorf("the log has %d records", entries)
	}
	again := pullAt(t, ks, 7, p.Next, 1<<20)
	if len(again.Records) != 0 || !again.Next.Equal(p.Next) || !again.End {
		t.Errorf("behind the end there is %q", recordsOf(t, &again.Piece))
	}
	if old := pullAt(t, ks, 7, at, 1<<20); !bytes.Equal(old.Records, p.Records) {
		t.Error("another pull from the same position brings something else")
	}
}

// What an undone command has touched is not logged.
func TestUndoneChangesAreNotLogged(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) { tx.BeginLog(7, &allSlots) })
	at := pullAt(t, ks, 7, Position{}, 100).Next
	write(t, ks, 2, 1, func(tx *Tx) {
		tx.SetString([]byte("a"), nil, 0)
		save := tx.Save()
		tx.SetString([]byte("b"), nil, 0)
		tx.Flush()
		tx.Undo(save)
		tx.SetString([]byte("c"), nil, 0)
	})
	p := pullAt(t, ks, 7, at, 1<<20)
	if got := strings.Join(recordsOf(t, &p.Piece), " "); !strings.Contains(got, "+a") || !strings.Contains(got, "+c") || strings.Contains(got, "b") {
		t.Errorf("logged are %s", got)
	}
}

// TestPullRefuses: a position is answered only from a state that is as new.
func TestPullRefuses(t *testing.T) {
	ks, behind := open(t, storage.NewMemory()), open(t, storage.NewMemory())
	for _, each := range []*Keyspace{ks, behind} {
		write(t, each, 1, 1, func(tx *Tx) { tx.BeginLog(7, &allSlots) })
	}
	write(t, ks, 2, 1, func(tx *Tx) { tx.SetString([]byte("a"), nil, 0) })
	at := pullAt(t, ks, 7, Position{}, 1<<20).Next
	for name, c := range map[string]struct {
		ks   *Keyspace
		job  uint64
		at   Position
		want error
	}{
		"another job":         {ks, 8, Position{}, ErrNotWatched},
		"an older state":      {behind, 7, at, ErrBehind},
		"no position":         {ks, 7, Position{After: []byte("x")}, ErrNoPosition},
		"before the log":      {ks, 7, Position{Index: 1}, ErrLost},
		"a key of no records": {ks, 7, Position{Index: 2, After: []byte{classExpiry}}, ErrNoPosition},
	} {
		view := c.ks.View(0)
		if _, err := view.Pull(c.job, c.at, 100); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		view.Close()
	}
	write(t, ks, 3, 1, (*Tx).Flush)
	view := ks.View(0)
	defer view.Close()
	if _, err := view.Pull(7, at, 100); !errors.Is(err, ErrLost) || !view.Watched()[0].Lost {
		t.Errorf("after a flush: %v", err)
	}
	write(t, ks, 4, 1, func(tx *Tx) { tx.SetString([]byte("b"), nil, 0) })
	each(t, ks, classChange, func(key, _ []byte) { t.Errorf("%x is in a log that is lost", key) })
}

// TestPieceSizes: a piece holds about as much as it may, and a large record goes by
// itself.
func TestPieceSizes(t *testing.T) {
	ks := open(t, storage.NewMemory())
	const limit = 10 << 10
	large := strings.Repeat("x", 3*limit)
	write(t, ks, 1, 1, func(tx *Tx) {
		for i := range 300 {
			tx.SetString(fmt.Append(nil, i), []byte(large[:200]), 0)
		}
		tx.SetString([]byte("large"), []byte(large), 0)
		tx.BeginLog(7, &allSlots)
	})
	for _, changed := range []bool{false, true} {
		at, seen := Position{}, 0
		if changed {
			at = Position{Changes: true, Index: 2}
			write(t, ks, 2, 1, func(tx *Tx) {
				for i := range 300 {
					tx.SetString(fmt.Append(nil, i), []byte(large[:200]), 0)
				}
				tx.SetString([]byte("large"), []byte(large), 0)
			})
		}
		for end := false; !end; {
			p := pullAt(t, ks, 7, at, limit)
			keys := recordsOf(t, &p.Piece)
			if len(p.Records) > limit && len(keys) > 1 {
				t.Errorf("changed %v: a piece of %d bytes has %d records", changed, len(p.Records), len(keys))
			}
			if seen += len(keys); p.End != (p.Rest == 0) {
				t.Errorf("end %v, and %d are left", p.End, p.Rest)
			}
			at, end = p.Next, p.End
		}
		if seen != 301 {
			t.Errorf("changed %v: %d records have come", changed, seen)
		}
	}
}

// TestPieceCheck: what no keyspace would send is refused.
func TestPieceCheck(t *testing.T) {
	at := place([]byte("k"))
	good := newString(at, []byte("v"), 0, Version{1, 2}).kept.Value()
	page := pageKey(at.slot(), objectID{1}, 3)
	remains := remainsKey(at.slot(), objectID{1})
	elsewhere := bytes.Clone(at)
	elsewhere[2]++
	for name, c := range map[string]struct {
		records []byte
		ok      bool
	}{
		"nothing":                   {nil, true},
		"a key":                     {appendPieceRecord(nil, at, good, true), true},
		"a key that is gone":        {appendPieceRecord(nil, at, nil, false), true},
		"a page":                    {appendPieceRecord(nil, page[:], []byte("x"), true), true},
		"remains":                   {appendPieceRecord(nil, remains, nil, true), true},
		"remains that are gone":     {appendPieceRecord(nil, remains, nil, false), false},
		"remains of more":           {appendPieceRecord(nil, remains[:11], nil, true), false},
		"remains with something":    {appendPieceRecord(nil, remains, []byte("x"), true), false},
		"a page too short":          {appendPieceRecord(nil, page[:20], nil, true), false},
		"a key in another slot":     {appendPieceRecord(nil, elsewhere, good, true), false},
		"a damaged value":           {appendPieceRecord(nil, at, []byte{0xff}, true), false},
		"a count":                   {appendPieceRecord(nil, countKey(at.slot()), []byte{1, 0}, true), false},
		"an expiry entry":           {appendPieceRecord(nil, appendExpiryKey(nil, 5, at), nil, true), false},
		"a named record":            {appendPieceRecord(nil, namedKey("slots"), nil, true), false},
		"a slot that there is not":  {appendPieceRecord(nil, []byte{classPage, 0xff, 0xff, 0}, nil, true), false},
		"a record that is cut":      {appendPieceRecord(nil, at, good, true)[:9], false},
		"a kind that there is not":  {append([]byte{2}, appendPieceRecord(nil, at, good, true)[1:]...), false},
		"something behind a record": {append(appendPieceRecord(nil, at, good, true), 1), false},
	} {
		p := Piece{Records: c.records}
		if _, err := p.Check(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrPiece) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTakeRefuses: a piece that is none of the import's next changes nothing.
func TestTakeRefuses(t *testing.T) {
	at := place([]byte("k"))
	record := appendPieceRecord(nil, at, newString(at, []byte("v"), 0, Version{1, 2}).kept.Value(), true)
	var mine, others slot.Set
	mine.Add(at.slot())
	others.Add(at.slot() + 1)
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) {
		tx.SetString([]byte("own"), nil, 0)
		if err := tx.Import(1, &mine); err != nil {
			t.Fatal(err)
		}
		if err := tx.Import(2, &others); err != nil {
			t.Fatal(err)
		}
		all := slot.Full()
		for job, slots := range map[uint64]*slot.Set{1: &others, 3: &mine, 4: &all} {
			if err := tx.Import(job, slots); !errors.Is(err, ErrImportOverlaps) {
				t.Errorf("import %d of what is not free: %v", job, err)
			}
		}
		if err := tx.Import(1, &mine); err != nil {
			t.Errorf("the same again: %v", err)
		}
	})
	begin, next := Position{}, Position{Index: 9, After: []byte("x")}
	before := dump(t, ks)
	write(t, ks, 2, 1, func(tx *Tx) {
		p := Piece{Records: record}
		for name, c := range map[string]struct {
			job  uint64
			from Position
			want error
		}{
			"another job":       {9, begin, ErrNoImport},
			"another position":  {1, next, ErrOutOfStep},
			"slots of no job's": {2, begin, ErrPiece},
		} {
			slots, _ := p.Check()
			if err := tx.Take(c.job, c.from.Digest(), next, &p, slots); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if after := dump(t, ks); after[strings.Index(after, "\n"):] != before[strings.Index(before, "\n"):] {
		t.Errorf("what was refused has left\n%s\nbefore\n%s", after, before)
	}
	take := func(index uint64, from, to Position, p Piece, want error) {
		t.Helper()
		slots, err := p.Check()
		if err != nil {
			t.Fatal(err)
		}
		write(t, ks, index, 1, func(tx *Tx) {
			if err := tx.Take(1, from.Digest(), to, &p, slots); !errors.Is(err, want) {
				t.Errorf("at %d: %v, want %v", index, err, want)
			}
		})
	}
	take(3, begin, next, Piece{Records: record, Epoch: 5, Complete: 5}, nil)
	take(4, next, next, Piece{Epoch: 5, Complete: 5}, ErrOutOfStep)
	take(5, next, next, Piece{Epoch: 7}, nil) // the source has taken its slots up again
	view := ks.View(0)
	if in := view.Imports()[0]; in.Complete != 0 || in.Keys != 1 || in.Bytes != int64(len(record)) {
		t.Errorf("the import is %+v", in)
	}
	view.Close()
	take(6, next, next, Piece{Epoch: 8, Complete: 8}, nil)
	write(t, ks, 7, 1, func(tx *Tx) {
		if tx.Flush(); !tx.Refused() {
			t.Error("a flush took what may be owned the next moment")
		}
		tx.EndImport(1)
		if tx.Flush(); tx.stored(at.slot()).keys != 0 {
			t.Error("a flush has left something")
		}
	})
	take(8, begin, next, Piece{Records: record}, ErrNoImport)
	view = ks.View(0)
	defer view.Close()
	if in := view.Imports(); len(in) != 1 || in[0].Job != 2 || !in[0].Failed {
		t.Errorf("after a flush the imports are %+v", in)
	}
}

// TestVersionsAreNew: a key that has moved has a version of the log that it moved to, so
// none that another state of it has had, or will have there.
func TestVersionsAreNew(t *testing.T) {
	from, to := open(t, storage.NewMemory()), open(t, storage.NewMemory())
	write(t, from, 50, 1, func(tx *Tx) {
		tx.SetString([]byte("k"), []byte("v"), 0)
		tx.BeginLog(1, &allSlots)
	})
	p := pullAt(t, from, 1, Position{}, 1<<20)
	slots, _ := p.Check()
	write(t, to, 3, 1, func(tx *Tx) {
		if err := tx.Import(1, &allSlots); err != nil {
			t.Fatal(err)
		}
		p.Complete = 2
		if err := tx.Take(1, (Position{}).Digest(), p.Next, &p.Piece, slots); err != nil {
			t.Fatal(err)
		}
		tx.Show(&allSlots, 2)
	})
	view := to.View(0)
	defer view.Close()
	if w := view.Watch([]byte("k")); w.Version.Index != 3 {
		t.Errorf("the version is %+v", w.Version)
	}
}

// TestSweepPassesHidden: what has expired of slots that are under import is left alone,
// makes nobody sweep, and is swept once the slots are shown.
func TestSweepPassesHidden(t *testing.T) {
	from, to := open(t, storage.NewMemory()), open(t, storage.NewMemory())
	write(t, from, 1, 1, func(tx *Tx) {
		for i := range 100 {
			tx.SetString(fmt.Appendf(nil, "{a}%d", i), nil, int64(100+i))
		}
		tx.BeginLog(1, &allSlots)
	})
	var slots slot.Set
	slots.Add(slot.Of([]byte("a")))
	p := pullAt(t, from, 1, Position{}, 1<<20)
	write(t, to, 1, 1, func(tx *Tx) {
		tx.SetString([]byte("b"), nil, 150)
		tx.SetString([]byte("c"), nil, 1000)
		if err := tx.Import(1, &slots); err != nil {
			t.Fatal(err)
		}
		p.Complete = 2
		if err := tx.Take(1, (Position{}).Digest(), p.Next, &p.Piece, slots); err != nil {
			t.Fatal(err)
		}
	})
	if at, ok := to.NextExpiry(); at != 150 || !ok {
		t.Errorf("the next expiry is at %d, %v", at, ok)
	}
	sweepAt := func(index uint64, now int64, want int) {
		t.Helper()
		write(t, to, index, now, func(tx *Tx) {
			if n := tx.DeleteExpired(1000); n != want {
				t.Errorf("at %d %d keys are swept, want %d", now, n, want)
			}
		})
	}
	sweepAt(2, 140, 0)
	sweepAt(3, 160, 1)
	if bound := to.expiry.bound(); bound < 150 {
		t.Errorf("the next sweep begins at %d, among what is hidden", bound)
	}
	if at, ok := to.NextExpiry(); at != 1000 || !ok {
		t.Errorf("the next expiry is at %d, %v", at, ok)
	}
	if to.Expired() != 1 {
		t.Errorf("%d keys have expired", to.Expired())
	}
	write(t, to, 4, 160, func(tx *Tx) { tx.Show(&slots, 2) })
	if at, ok := to.NextExpiry(); at != 100 || !ok {
		t.Errorf("when they are shown, the next expiry is at %d, %v", at, ok)
	}
	sweepAt(5, 160, 61)
	checkInvariants(t, to)
}
