package wal_test

import (
	"errors"
	"fmt"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// TestDamageAnywhere builds logs of several segments, with groups that come and
// go, truncations and copies, and damages them in random places and ways: at the
// borders of frames, in sectors and pages, by bytes that were there before or
// belong elsewhere. What opens is a state that the log had; what does not, says
// which file is damaged and where, and is as it was.
func TestDamageAnywhere(t *testing.T) {
	opened, refused := 0, 0
	for seed := range int64(60) {
		rng := rand.New(rand.NewSource(seed))
		fs, names, states := scattered(t, rng)
		original := make(map[string][]byte)
		for _, name := range names {
			original[name] = readFile(t, fs, filepath.Join("wal", name))
		}
		for round := range 25 {
			fs = crashfs.New()
			content := make(map[string][]byte)
			for name, data := range original {
				content[name] = slices.Clone(data)
			}
			var what []string
			for range 1 + rng.Intn(2) {
				what = append(what, damage(rng, names, content))
			}
			where := fmt.Sprintf("seed %d, round %d: %s", seed, round, strings.Join(what, ", "))
			for name, data := range content {
				writeFile(t, fs, filepath.Join("wal", name), data)
			}
			l, err := wal.Open(small(fs, "wal"))
			if err != nil {
				refused++
				checkRefusal(t, where, err, fs, content)
				continue
			}
			opened++
			got := dump(t, l)
			if !slices.Contains(states, got) {
				t.Fatalf("%s: a state that never was:\n%s", where, got)
			}
			check(t, l.Close())
			equal(t, dump(t, open(t, small(fs, "wal"))), got)
		}
	}
	if opened < 50 || refused < 500 {
		t.Errorf("%d logs opened, %d were refused: little was tested", opened, refused)
	}
}

// scattered returns a closed log of several segments, their names, and its state
// after every batch.
func scattered(t *testing.T, rng *rand.Rand) (fs *crashfs.FS, names, states []string) {
	t.Helper()
	fs = crashfs.New()
	l := open(t, small(fs, "wal"))
	m := newModel()
	states = append(states, m.String())
	var b wal.Batch
	for i := 0; i < 100 || l.Stats().Segments < 4; i++ {
		fill(rng, &b, m)
		check(t, l.Write(&b))
		states = append(states, m.String())
	}
	check(t, l.Close())
	return fs, segments(t, fs, "wal"), states
}

// checkRefusal: the error names a file and a place in it, and nothing changed.
func checkRefusal(t *testing.T, where string, err error, fs *crashfs.FS, content map[string][]byte) {
	t.Helper()
	var corrupt *wal.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s: %v", where, err)
	}
	data, ok := content[filepath.Base(corrupt.File)]
	if !ok || corrupt.Offset < 0 || corrupt.Offset > int64(len(data)) {
		t.Fatalf("%s: %v names no place in a file", where, err)
	}
	for name, want := range content {
		if got := readFile(t, fs, filepath.Join("wal", name)); !slices.Equal(got, want) {
			t.Fatalf("%s: refused, and %s was changed", where, name)
		}
	}
}

// damage changes the content of one of the files and says how.
func damage(rng *rand.Rand, names []string, content map[string][]byte) string {
	name := names[rng.Intn(len(names))]
	data := content[name]
	if len(data) == 0 {
		return "nothing more of " + name
	}
	at, n := rng.Intn(len(data)), 1+rng.Intn(64)
	if layout, ok := layoutOf(data); ok && rng.Intn(2) == 0 {
		// Within what is used, around the border of a frame.
		at = min(max(int(layout.Frames[rng.Intn(len(layout.Frames))])+rng.Intn(5)-2, 0), len(data)-1)
	}
	if rng.Intn(4) == 0 { // a whole sector or page
		n = 512 << (3 * rng.Intn(2))
		at -= at % n
	}
	place := data[at:min(at+n, len(data))]
	what := ""
	switch rng.Intn(6) {
	case 0:
		what = "a bit flipped"
		data[at] ^= 1 << rng.Intn(8)
	case 1:
		what = "zeros"
		clear(place)
	case 2:
		what = "cut"
		content[name] = data[:at]
	case 3:
		what = "noise"
		rng.Read(place)
	case 4:
		other := names[rng.Intn(len(names))]
		what = "bytes of " + other
		if from := content[other]; at < len(from) {
			copy(place, from[at:])
		}
	default:
		what = "bytes from elsewhere"
		copy(place, data[rng.Intn(len(data)):])
	}
	return fmt.Sprintf("%s at %d of %s, %d bytes", what, at, name, len(place))
}

// layoutOf is ReadLayout of a segment that may be damaged.
func layoutOf(data []byte) (layout wal.Layout, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	layout = wal.ReadLayout(data)
	return layout, len(layout.Frames) > 0
}
