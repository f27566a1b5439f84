package resp

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
)

// FuzzReader: what is read is written as something that reads the same; what is
// not read is an error that says so; and memory follows what arrived, not what a
// length promised.
func FuzzReader(f *testing.F) {
	for _, v := range samples() {
		f.Add(Append(nil, v, 2))
		f.Add(Append(nil, v, 3))
	}
	f.Add([]byte("*-1\r\n"))
	f.Add([]byte("%1\r\n+a\r\n"))
	f.Add([]byte("*67108864\r\n*67108864\r\n*67108864\r\n$536870912\r\n"))
	f.Add([]byte("|1\r\n+a\r\n+b\r\n|1\r\n+a\r\n+b\r\n:1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<16 {
			t.Skip()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := NewReader(bytes.NewReader(in)).ReadValue()
		runtime.ReadMemStats(&after)
		// A header of four bytes is worth a list of 1024 values, a string a megabyte.
		if got, bound := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+64<<10*(len(in)/4+1)); got > bound {
			t.Fatalf("%d bytes allocated for %d, bound %d", got, len(in), bound)
		}
		if err != nil {
			if !errors.Is(err, ErrProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%v", err)
			}
			return
		}
		sent := Append(nil, v, 3)
		again, err := NewReader(bytes.NewReader(sent)).ReadValue()
		if err != nil {
			t.Fatalf("%q was read, but not its encoding %q: %v", in, sent, err)
		}
		if twice := Append(nil, again, 3); !bytes.Equal(twice, sent) {
			t.Fatalf("%q became %q", sent, twice)
		}
	})
}
