package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// movedSource is a keyspace with some of everything, whose slots a job watches, and the
// slots.
func movedSource(t *testing.T) (*Keyspace, slot.Set) {
	t.Helper()
	ks := openTiny(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) {
		for i := range 10 {
			tx.SetString(fmt.Appendf(nil, "{a}s%d", i), []byte("value"), int64(i%2)*1000)
			h, _ := tx.Hash(fmt.Appendf(nil, "{a}h%d", i))
			l, _ := tx.List(fmt.Appendf(nil, "{a}l%d", i))
			for j := range 10 * i {
				h.Set(fmt.Append(nil, j), []byte("value"), 0)
				l.PushBack(fmt.Append(nil, j))
			}
		}
		tx.BeginLog(1, &allSlots)
	})
	return ks, slot.FromRanges([]slot.Range{{Start: slot.Of([]byte("a")), End: slot.Of([]byte("a"))}})
}

// step is an entry of a log.
type step func(tx *Tx)

// importLog is the log of a keyspace that takes all of it in small pieces, while the source
// changes; in the end it shows the slots, or drops them.
func importLog(t *testing.T, shows bool) (log []step) {
	source, slots := movedSource(t)
	log = append(log, func(tx *Tx) {
		tx.SetString([]byte("bystander"), nil, 0)
		_ = tx.Import(1, &slots)
	})
	at := Position{}
	for n := 0; ; n++ {
		p := pullAt(t, source, 1, at, 700)
		if n < 40 {
			write(t, source, source.Applied()+1, 1, func(tx *Tx) {
				h, _ := tx.Hash(fmt.Appendf(nil, "{a}h%d", n%10))
				h.Set(fmt.Append(nil, n), []byte("changed"), 0)
				tx.Delete(fmt.Appendf(nil, "{a}l%d", n/4))
			})
		} else if p.End {
			p.Complete = 5
		}
		from := at.Digest()
		at = p.Next
		log = append(log, func(tx *Tx) {
			_ = tx.Take(1, from, p.Next, &p.Piece, slots)
		})
		if p.Complete != 0 {
			break
		}
	}
	if shows {
		return append(log,
			func(tx *Tx) { tx.Show(&slots, 5) },
			func(tx *Tx) { tx.EndImport(1) },
			func(tx *Tx) { tx.Delete([]byte("{a}h9")) })
	}
	log = append(log, func(tx *Tx) { tx.EndImport(1) })
	for range 15 {
		log = append(log, func(tx *Tx) { tx.Drop(&slots, 2) })
	}
	return log
}

// TestCrashInMove dies before and after whatever a keyspace writes while it takes slots,
// by checkpoints and by sweeps, and goes on from there with its log: it ends as one that
// has not died.
func TestCrashInMove(t *testing.T) {
	for name, shows := range map[string]bool{"shown": true, "canceled": false} {
		t.Run(name, func(t *testing.T) {
			log := importLog(t, shows)
			run := func(ks *Keyspace, each func(ks *Keyspace)) string {
				for i := ks.Applied(); i < uint64(len(log)); i++ {
					write(t, ks, i+1, 1, log[i])
					if each != nil {
						each(ks)
					}
				}
				return dump(t, ks)
			}
			finish := func(store storage.Store) string {
				ks := openTiny(t, store)
				checkInvariants(t, ks)
				run(ks, nil)
				checkInvariants(t, ks)
				checkpoint(t, ks)
				sweep(t, ks)
				return dump(t, ks)
			}
			want := finish(storage.NewMemory())
			memory := storage.NewMemory()
			store, deaths := &hookedStore{Store: memory}, 0
			die := func() {
				deaths++
				if got := finish(memory.Clone()); got != want {
					t.Fatalf("death %d: got\n%s\nwant\n%s", deaths, got, want)
				}
			}
			store.before, store.after = die, die
			n := 0
			run(openTiny(t, store), func(ks *Keyspace) {
				if n++; n%5 == 0 {
					checkpoint(t, ks)
					sweep(t, ks)
				}
			})
			if deaths < 20 {
				t.Errorf("it has died %d times", deaths)
			}
		})
	}
}
