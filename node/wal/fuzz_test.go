package wal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// FuzzRecover: whatever a segment holds, opening the log gives a state that it
// had after some batch, and then takes more; or a refusal that names the file and
// changes nothing.
func FuzzRecover(f *testing.F) {
	v := newVictim(f, crashfs.New(), "wal", true)
	f.Add(v.data[:v.layout.End])
	f.Add([]byte{})
	for i, frame := range v.layout.Frames {
		f.Add(v.data[:frame])
		flipped := slices.Clone(v.data[:v.layout.End])
		flipped[frame+int64(i%16)] ^= 1 << (i % 8)
		f.Add(flipped)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<20 {
			t.Skip()
		}
		fs := crashfs.New()
		opts := small(fs, "wal")
		writeFile(t, fs, v.path, content)
		l, err := wal.Open(opts)
		if err != nil {
			var corrupt *wal.CorruptError
			if errors.As(err, &corrupt) != !errors.Is(err, wal.ErrNewerFormat) || !strings.Contains(err.Error(), v.path) {
				t.Fatalf("Open: %v", err)
			}
			if corrupt != nil && (corrupt.Offset < 0 || corrupt.Offset > int64(len(content))) {
				t.Fatalf("Open: %v in a file of %d bytes", err, len(content))
			}
			if !bytes.Equal(readFile(t, fs, v.path), content) {
				t.Fatal("Open refused the log and changed it")
			}
			return
		}
		if got := dump(t, l); !slices.Contains(v.states, got) {
			t.Fatalf("a state that never was:\n%s", got)
		}
		var b wal.Batch
		b.SetIdentity([]byte("after"))
		check(t, l.Write(&b))
		after := dump(t, l)
		check(t, l.Close())
		l = open(t, opts)
		equal(t, dump(t, l), after)
		check(t, l.Close())
	})
}
