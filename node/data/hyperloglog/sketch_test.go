package hyperloglog

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// model is a sketch as a list of registers, nil for one whose registers make no sense.
func model(s *sketch) []byte {
	var list []byte
	if !s.runs(func(first, n int, value byte) {
		if first != len(list) {
			list = nil
		}
		list = append(list, bytes.Repeat([]byte{value}, n)...)
	}) {
		return nil
	}
	return list
}

// FuzzSketch: of any string it is known whether it is a sketch and whether its registers
// make sense, and one whose do stays such while they are raised, whatever they were.
func FuzzSketch(f *testing.F) {
	small := newSketch()
	f.Add(small.bytes, uint64(1))
	for i := range 2000 {
		small.raise(place([]byte(strconv.Itoa(i))))
		if i%500 == 0 {
			f.Add(bytes.Clone(small.bytes), uint64(i))
		}
	}
	f.Add([]byte("HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f"), uint64(2))
	f.Fuzz(func(t *testing.T, value []byte, seed uint64) {
		s, err := parse(value)
		if err != nil {
			return
		}
		h, ok := s.histogram()
		h.estimate()
		if ok != s.valid() || ok != new(union).add(s) {
			t.Fatal("it is not agreed whether the registers make sense")
		}
		if !ok {
			return
		}
		want := model(s)
		s = &sketch{bytes.Clone(value)}
		rnd := rand.New(rand.NewPCG(seed, 0))
		for range 300 {
			register, value := rnd.IntN(registers), byte(1+rnd.IntN(1+rnd.IntN(hashBits+1)))
			if raised := s.raise(register, value); raised != (want[register] < value) {
				t.Fatalf("register %d was %d: raised to %d: %v", register, want[register], value, raised)
			}
			want[register] = max(want[register], value)
		}
		if !bytes.Equal(model(s), want) {
			t.Fatal("registers differ")
		}
		if !s.isDense() && len(s.bytes) > max(sparseLimit, len(value)) {
			t.Fatalf("a sparse sketch of %d bytes", len(s.bytes))
		}
		s.makeDense()
		if !bytes.Equal(model(s), want) {
			t.Fatal("registers differ when the sketch has become dense")
		}
	})
}

// TestEstimates: estimates are about right from nothing to millions, for sparse and dense
// sketches and unions.
func TestEstimates(t *testing.T) {
	s := newSketch()
	next := 0
	for n := range 2_000_001 {
		if n == next {
			h, ok := s.histogram()
			if !ok {
				t.Fatalf("%d elements: the registers make no sense", n)
			}
			got := float64(h.estimate())
			if math.Abs(got-float64(n)) > 1+0.03*float64(n) { // the standard error is 0.008
				t.Errorf("%d elements are estimated as %v", n, got)
			}
			var u union
			if u.add(s); u.histogram() != h {
				t.Errorf("%d elements: the union with nothing differs", n)
			}
			next = next*3/2 + 1
		}
		s.raise(place([]byte("element " + strconv.Itoa(n))))
	}
}

func BenchmarkCount(b *testing.B) {
	for _, name := range []string{"sparse", "dense"} {
		b.Run(name, func(b *testing.B) {
			s := newSketch()
			for i := range 1000 {
				s.raise(place([]byte(strconv.Itoa(i))))
			}
			if name == "dense" {
				s.makeDense()
			}
			for range b.N {
				h, _ := s.histogram()
				sink += h.estimate()
			}
		})
	}
}

var sink int64
