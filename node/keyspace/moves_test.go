package keyspace

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// side is a keyspace that slots move from, or to.
type side struct {
	ks    *Keyspace
	store storage.Store
	job   uint64 // that it imports
}

func newSide(t *testing.T) *side {
	s := &side{store: storage.NewMemory()}
	s.ks = openTiny(t, s.store)
	return s
}

// do runs an entry.
func (s *side) do(t *testing.T, now int64, fn func(tx *Tx)) {
	t.Helper()
	write(t, s.ks, s.ks.Applied()+1, now, fn)
}

// disturb does what must make no difference.
func (s *side) disturb(t *testing.T, rng *rand.Rand) {
	t.Helper()
	if rng.Intn(3) == 0 {
		checkpoint(t, s.ks)
	}
	if rng.Intn(2) == 0 {
		sweep(t, s.ks)
	}
	if rng.Intn(20) == 0 {
		if err := s.ks.Close(); err != nil {
			t.Fatal(err)
		}
		s.ks = openTiny(t, s.store)
	}
}

// pull takes a piece from another side, and reports whether that was at its end.
func (s *side) pull(t *testing.T, from *side, now int64, maxBytes int, epoch uint64) (end bool) {
	t.Helper()
	view := s.ks.View(0)
	at := view.Imports()[0].Position
	view.Close()
	source := from.ks.View(0)
	p, err := source.Pull(s.job, at, maxBytes)
	source.Close()
	if err != nil {
		t.Fatal(err)
	}
	encoded := p.Append(nil)
	if p, err = DecodePulled(encoded); err != nil {
		t.Fatal(err)
	}
	slots, err := p.Check()
	if err != nil {
		t.Fatal(err)
	}
	if p.End {
		p.Complete, p.Epoch = epoch, epoch
	}
	s.do(t, now, func(tx *Tx) {
		if err := tx.Take(s.job, at.Digest(), p.Next, &p.Piece, slots); err != nil {
			t.Fatal(err)
		}
		if !p.Next.Equal(at) { // again
			if err := tx.Take(s.job, at.Digest(), p.Next, &p.Piece, slots); !errors.Is(err, ErrOutOfStep) {
				t.Fatalf("a piece that comes twice: %v", err)
			}
		}
	})
	return p.End
}

// drop drops slots in pieces.
func (s *side) drop(t *testing.T, rng *rand.Rand, now int64, slots slot.Set) {
	t.Helper()
	for left := true; left; {
		s.do(t, now, func(tx *Tx) {
			tx.Drop(&slots, 1+rng.Intn(3))
			left = tx.storedIn(&slots) > 0
		})
		if rng.Intn(4) == 0 {
			checkInvariants(t, s.ks)
		}
		s.disturb(t, rng)
	}
	view := s.ks.View(0)
	defer view.Close()
	if hidden := view.Hidden(); !hidden.Empty() {
		t.Fatalf("%v are hidden when nothing is left", hidden)
	}
}

// TestMovesModel moves slots with values of all types back and forth while they change,
// in pieces of any size, with canceled jobs, restarts, checkpoints and sweeps in between.
// What arrives is what the model says.
func TestMovesModel(t *testing.T) {
	for seed := range int64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			m := &typedModel{keys: make(map[string]*typedValue)}
			from, to := newSide(t), newSide(t)
			to.do(t, 1, func(tx *Tx) { tx.SetString([]byte("bystander"), []byte("x"), 0) })
			var slots slot.Set
			slots.Add(slot.Of([]byte(typedKey(0))))
			if rng.Intn(2) == 0 { // some without keys, on both sides of it
				slots = slot.Full()
				slots.Remove(slot.Of([]byte("bystander")))
			}
			for job := uint64(1); job <= 5; job++ {
				from.change(t, rng, m, 20)
				moveOnce(t, rng, m, from, to, slots, job)
				from, to = to, from
			}
		})
	}
}

// change runs random entries on the side that owns what the model knows.
func (s *side) change(t *testing.T, rng *rand.Rand, m *typedModel, n int) {
	t.Helper()
	for range n {
		tx := s.ks.Begin()
		m.applied, m.clock = s.ks.Applied(), max(m.clock, s.ks.Clock())
		m.entries(t, rng, tx)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func moveOnce(t *testing.T, rng *rand.Rand, m *typedModel, from, to *side, slots slot.Set, job uint64) {
	t.Helper()
	begin := func(job uint64) {
		from.do(t, m.clock, func(tx *Tx) { tx.BeginLog(job, &slots) })
		to.do(t, m.clock, func(tx *Tx) {
			if err := tx.Import(job, &slots); err != nil {
				t.Fatal(err)
			}
		})
		to.job = job
	}
	cancel := func() {
		to.do(t, m.clock, func(tx *Tx) { tx.EndImport(to.job) })
		checkInvariants(t, to.ks)
		to.drop(t, rng, m.clock, slots)
		from.do(t, m.clock, func(tx *Tx) { tx.EndLog(to.job) })
	}
	begin(job)
	for range 10 + rng.Intn(40) {
		switch rng.Intn(12) {
		case 0, 1, 2, 3, 4:
			from.change(t, rng, m, 1)
		case 5:
			to.do(t, m.clock, func(tx *Tx) { tx.DeleteExpired(10) })
		case 6:
			if rng.Intn(4) == 0 {
				cancel()
				begin(to.job + 100)
			}
		default:
			to.pull(t, from, m.clock, 1+rng.Intn(3000), 0)
		}
		from.disturb(t, rng)
		to.disturb(t, rng)
		if rng.Intn(4) == 0 {
			checkHiddenIsHidden(t, to.ks)
			checkInvariants(t, to.ks)
		}
	}
	const epoch = 9
	for !to.pull(t, from, m.clock, 1+rng.Intn(3000), epoch) {
		from.disturb(t, rng)
	}
	to.do(t, m.clock, func(tx *Tx) {
		if refused := tx.Show(&slots, epoch+1); refused != slots {
			t.Fatalf("by another epoch %v are refused", refused)
		}
		if refused := tx.Show(&slots, epoch); !refused.Empty() {
			t.Fatalf("%v are refused", refused)
		}
		tx.EndImport(to.job)
	})
	checkInvariants(t, to.ks)
	m.clock = max(m.clock, to.ks.Clock())
	view := to.ks.View(0)
	m.check(t, rng, view)
	view.Close()
	from.do(t, m.clock, func(tx *Tx) { tx.EndLog(to.job) })
	from.drop(t, rng, m.clock, slots)
	checkSwept(t, from.ks)
}

// checkHiddenIsHidden looks for what is imported in every way that keys are listed.
func checkHiddenIsHidden(t *testing.T, ks *Keyspace) {
	t.Helper()
	view := ks.View(0)
	defer view.Close()
	hidden := view.Hidden()
	seen := int64(0)
	look := func(key []byte) {
		if seen++; hidden.Has(slot.Of(key)) {
			t.Fatalf("%q is shown", key)
		}
	}
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = view.Scan(cursor, 1, func(key []byte, _ Meta) { look(key) })
	}
	view.Each(func(key []byte, _ Meta) bool {
		look(key)
		return true
	})
	if seen != 2*view.Len() {
		t.Fatalf("%d keys are shown, by two walks, and counted are %d", seen, view.Len())
	}
	for s := range hidden.All {
		if view.LenSlot(s) != 0 || view.KeysInSlot(s, 1) != nil {
			t.Fatalf("keys of slot %d are shown", s)
		}
	}
}

// checkSwept verifies that nothing is left of slots, logs and jobs that are gone.
func checkSwept(t *testing.T, ks *Keyspace) {
	t.Helper()
	checkpoint(t, ks)
	sweep(t, ks)
	for _, class := range []byte{classPage, classRemains, classChange} {
		each(t, ks, class, func(key, _ []byte) { t.Fatalf("%x is left", key) })
	}
}
