package rawio

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return NewConn(a), NewConn(b)
}

// TestConnCarriesAll sends more than the socket buffers hold, so that both
// directions have to wait, and compares.
func TestConnCarriesAll(t *testing.T) {
	a, b := pair(t)
	if _, ok := a.(*Conn); !ok {
		t.Fatalf("NewConn made a %T", a)
	}
	data := make([]byte, 16<<20)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(data); i++ {
		data[i] = byte(r.Uint32())
	}
	sent := make(chan error, 1)
	go func() {
		n, err := a.Write(data)
		if err == nil && n != len(data) {
			err = io.ErrShortWrite
		}
		sent <- errors.Join(err, a.Close())
	}()
	got, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%d bytes arrived of %d, or other ones", len(got), len(data))
	}
}

// TestConnEnds looks at the errors that callers tell apart.
func TestConnEnds(t *testing.T) {
	a, b := pair(t)
	if err := a.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := a.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("after the deadline: %v", err)
	}
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing to read: %d, %v", n, err)
	}
	if err := a.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the other end has closed: %v", err)
	}
	a.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

// TestConnReset sends to somebody who has gone: the error comes, sooner or later.
func TestConnReset(t *testing.T) {
	a, b := pair(t)
	b.Close()
	if err := a.SetWriteDeadline(time.Now().Add(limit.Wait())); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := a.Write(make([]byte, 1<<16)); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("writing to a closed peer: %v", err)
			}
			return
		}
	}
}

func TestNewConnLeavesOthersAlone(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if NewConn(a) != a {
		t.Error("a pipe is no socket, and was wrapped")
	}
}

// TestFile writes by both ways, and both report errors with the path.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, slow := range []bool{false, true} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		raw := NewFile(f)
		raw.slow.Store(slow)
		if n, err := raw.Write([]byte("hello, ")); n != 7 || err != nil {
			t.Fatal(n, err)
		}
		raw.slow.Store(slow)
		if n, err := raw.WriteAt([]byte("world"), 7); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		raw.slow.Store(slow)
		if err := raw.Datasync(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != "hello, world" {
			t.Errorf("slow %v: %q", slow, got)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		readOnly, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		raw = NewFile(readOnly)
		raw.slow.Store(slow)
		var pathErr *os.PathError
		if _, err := raw.Write([]byte("x")); !errors.As(err, &pathErr) || pathErr.Path != path {
			t.Errorf("slow %v: writing to a file open for reading: %v", slow, err)
		}
		readOnly.Close()
	}
}

// After a hiccup, flushes go on in the background where the kernel can: any number
// of callers, an error is told, and Close ends it.
func TestFlushesInTheBackground(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw := NewFile(f)
	if err := raw.Datasync(); err != nil {
		t.Fatal(err)
	}
	raw.hiccup.Store(1) // just after it was opened
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 5 {
				if err := raw.Datasync(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if raw.flusher == nil && !raw.blocks {
		t.Error("nothing went to the background, though it was possible")
	}
	raw.Close()
	raw.Close()
	if err := raw.Datasync(); err != nil { // its owner has not closed it
		t.Error("after Close:", err)
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	raw = NewFile(w) // cannot be flushed
	raw.hiccup.Store(1)
	var pathErr *os.PathError
	if err := raw.Datasync(); !errors.As(err, &pathErr) || !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EROFS) {
		t.Error("a pipe was flushed:", err)
	}
	raw.Close()
}

// The uptime agrees with the system's clock, also when it has to ask it again
// because the clocks seem to have parted.
func TestUptime(t *testing.T) {
	u := NewUptime()
	if u == nil {
		t.Skip("cannot here: this system has no clock that counts while it sleeps")
	}
	for _, moved := range []time.Duration{0, time.Hour, -time.Hour} {
		u.skew.Add(-int64(moved)) // as if the wall clock had moved since,
		if moved > 0 {
			u.ahead.Add(-int64(moved)) // for the machine slept
		}
		before, _ := bootTime()
		now := u.Now()
		// It may run ahead by what a held up goroutine made of it, not behind.
		if after, _ := bootTime(); now < before-time.Microsecond || now > after+time.Second {
			t.Errorf("after the wall clock moved by %v: %v, which is not between %v and %v", moved, now, before, after)
		}
		if again := u.Now(); again < now {
			t.Errorf("from %v back to %v", now, again)
		}
	}
}

func BenchmarkUptime(b *testing.B) {
	u := NewUptime()
	for b.Loop() {
		u.Now()
	}
}

// lender has one small buffer, and counts.
type lender struct {
	buf         []byte
	lent, idled int
}

func (l *lender) Buffer() []byte { l.lent++; return l.buf }
func (l *lender) Idle()          { l.idled++ }

// TestReadReady: whoever waits holds no buffer.
func TestReadReady(t *testing.T) {
	a, b := pair(t)
	l := &lender{buf: make([]byte, 4)}
	read := make(chan int, 1)
	go func() {
		n, err := b.(*Conn).ReadReady(l)
		if err != nil {
			t.Error(err)
		}
		read <- n
	}()
	if _, err := a.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if n := <-read; string(l.buf[:n]) != "abcd" || l.idled > 1 || l.lent != l.idled+1 {
		t.Errorf("read %q, %d times lent, %d times idle", l.buf[:n], l.lent, l.idled)
	}
	if n, err := b.(*Conn).ReadReady(l); err != nil || string(l.buf[:n]) != "ef" {
		t.Errorf("read %q, %v", l.buf[:n], err)
	}
	*l = lender{buf: l.buf}
	if err := b.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := b.(*Conn).ReadReady(l); !errors.As(err, &timeout) || l.lent != 1 || l.idled != 1 {
		t.Errorf("%v, %d times lent, %d times idle", err, l.lent, l.idled)
	}
	_ = a.Close()
	_ = b.SetReadDeadline(time.Time{})
	if _, err := b.(*Conn).ReadReady(l); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}
