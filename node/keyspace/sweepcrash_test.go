package keyspace

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// sweepStore holds two big values whose remains are to be swept, and two that are
// there.
func sweepStore(t *testing.T) *storage.Memory {
	t.Helper()
	store := storage.NewMemory()
	ks := openTiny(t, store)
	write(t, ks, 1, 1000, func(tx *Tx) {
		for _, name := range []string{"gone", "kept"} {
			h, _ := tx.Hash([]byte("h" + name))
			z, _ := tx.SortedSet([]byte("z" + name))
			for i := range 400 {
				h.Set(fmt.Append(nil, i), []byte("value"), 0)
				z.Set(fmt.Append(nil, i), float64(i))
			}
		}
	})
	checkpoint(t, ks)
	write(t, ks, 2, 1000, func(tx *Tx) {
		tx.Delete([]byte("hgone"))
		tx.SetString([]byte("zgone"), nil, 0)
	})
	if err := ks.Close(); err != nil {
		t.Fatal(err)
	}
	return store
}

// checkSweep verifies that a store that sweepStore has made is sound, and that a
// sweep ends with nothing left of what is gone.
func checkSweep(t testing.TB, store storage.Store) {
	t.Helper()
	ks := openTiny(t, store)
	checkInvariants(t, ks)
	sweep(t, ks)
	checkInvariants(t, ks)
	each(t, ks, classRemains, func(key, _ []byte) { t.Fatalf("remains %x are left", key) })
	view := ks.View(0)
	defer view.Close()
	h, _, _ := view.Hash([]byte("hkept"))
	z, _, _ := view.SortedSet([]byte("zkept"))
	if h.Len() != 400 || z.Len() != 400 || view.Len() != 3 || view.Err() != nil {
		t.Fatalf("%d fields, %d members, %d keys; %v", h.Len(), z.Len(), view.Len(), view.Err())
	}
}

// TestCrashInSweep dies before and after what each step of a sweep writes counts.
func TestCrashInSweep(t *testing.T) {
	memory := sweepStore(t)
	store, deaths := &hookedStore{Store: memory}, 0
	ks := openTiny(t, store)
	die := func() {
		deaths++
		checkSweep(t, memory.Clone())
	}
	store.before, store.after = die, die
	sweep(t, ks)
	checkSweep(t, memory)
	if deaths < 12 {
		t.Errorf("it has died %d times", deaths)
	}
}

// tornStore is one whose transactions fall apart: of each, what keep does not want is
// lost.
type tornStore struct {
	storage.Store
	keep func(key []byte) bool
}

type tornTransaction struct {
	storage.Transaction
	keep func(key []byte) bool
}

func (s *tornStore) Begin() (storage.Transaction, error) {
	tr, err := s.Store.Begin()
	return tornTransaction{tr, s.keep}, err
}

func (t tornTransaction) Delete(key []byte) error {
	if !t.keep(key) {
		return nil
	}
	return t.Transaction.Delete(key)
}

// caught is what a test says that has to fail.
type caught struct {
	testing.TB
	said string
}

func (c *caught) Fatal(args ...any)                 { c.end(fmt.Sprint(args...)) }
func (c *caught) Fatalf(format string, args ...any) { c.end(fmt.Sprintf(format, args...)) }

func (c *caught) end(said string) {
	c.said = said
	panic(c)
}

// TestSweepFindsBugs: what checkSweep looks at would show a sweep that removes too
// little or too much, or the record of an object before its pages.
func TestSweepFindsBugs(t *testing.T) {
	page, seen := []byte{classPage}, 0
	for name, bug := range map[string]struct {
		keep func(key []byte) bool
		says string
	}{
		"the record goes before its pages": {func(key []byte) bool { return key[0] == classRemains }, "belongs to nothing"},
		"one page stays": {func(key []byte) bool {
			if bytes.HasPrefix(key, page) {
				seen++
			}
			return seen != 5
		}, "belongs to nothing"},
		"the record stays": {func(key []byte) bool { return key[0] != classRemains }, "are left"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &caught{TB: t}
			func() {
				defer func() {
					if reason := recover(); reason != nil && reason != any(c) {
						panic(reason)
					}
				}()
				memory := sweepStore(t)
				ks := openTiny(t, &tornStore{memory, bug.keep})
				for range 100 {
					if more, err := ks.recs.Sweep(); err != nil || !more {
						break
					}
				}
				checkInvariants(c, ks)
				each(c, ks, classRemains, func(key, _ []byte) { c.Fatalf("remains %x are left", key) })
			}()
			if !strings.Contains(c.said, bug.says) {
				t.Errorf("it says %q, and should say %q", c.said, bug.says)
			}
		})
	}
}
