package frontend

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

// usedByReads is what the reads of all connections hold.
func usedByReads(s *Server) int64 {
	s.reads.mu.Lock()
	defer s.reads.mu.Unlock()
	return s.reads.used
}

// waitUnused waits until no read holds anything.
func waitUnused(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(limit.Wait()); usedByReads(s) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("reads still hold %d bytes", usedByReads(s))
		}
	}
}

// A read that needs more than all reads may hold gets an error, whatever it
// would have built, and holds nothing afterwards; less of it is answered.
func TestReadsThatNeedTooMuch(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.ReadMemory = 160 << 10 })
	c := f.dial()
	big := strings.Repeat("v", 4000)
	for i := range 300 {
		c.want([]string{fmt.Sprintf("SET {t}k%d %s", i, strings.Repeat("ab", 500+i))}, "OK")
	}
	c.want([]string{"SET {t}big " + big, "SETRANGE {t}huge 999999 x"}, "OK", ":1000000")
	for i := range 9000 {
		if i%100 == 0 {
			pairs := ""
			for j := range 100 {
				pairs += fmt.Sprintf(" {t}n%d v", i+j)
			}
			c.want([]string{"MSET" + pairs}, "OK")
		}
	}
	tooBig := "-" + string(errReadTooBig)
	for _, line := range []string{
		"KEYS *", "SCAN 0 COUNT 100000", "LCS {t}k1 {t}k299", "LCS {t}k1 {t}k299 LEN", "LCS {t}k10 {t}k200 IDX", "GET {t}huge", "GETRANGE {t}huge 0 -1",
		"MGET" + strings.Repeat(" {t}big", 200),
		"BITFIELD_RO {t}big" + strings.Repeat(" GET u8 0", 5000),
	} {
		c.want([]string{line}, tooBig)
	}
	c.want([]string{"GETRANGE {t}huge 0 3", "LCS {t}n1 {t}n2 LEN", "MGET {t}n1 {t}n2"}, "\x00\x00\x00\x00", ":1", "[v v]")
	waitUnused(t, f.server)
}

// A write that would return more than all reads may hold is refused before it is applied;
// many that return much wait for each other, and none of them is lost.
func TestWritesThatReturnMuch(t *testing.T) {
	const limit = 1 << 20
	f := start(t, func(o *Options) { o.Limits.ReadMemory = limit })
	f.server.reads.patience = patience
	c := f.dial()
	c.want([]string{"SETRANGE {t}huge 999999 x", "HSET {t}h f " + strings.Repeat("f", 9000)}, ":1000000", ":1")
	tooBig := "-" + string(errReadTooBig)
	c.want([]string{"GETDEL {t}huge", "SET {t}huge x GET", "GETSET {t}huge x", "GETEX {t}huge PERSIST"}, tooBig, tooBig, tooBig, tooBig)
	c.want([]string{"STRLEN {t}huge", "SET {t}huge x"}, ":1000000", "OK")
	for i := range 20 {
		element := fmt.Sprint(i) + strings.Repeat("e", 30000)
		c.want([]string{"RPUSH {t}l " + element, "SADD {t}s " + element, "ZADD {t}z 1 " + element}, fmt.Sprint(":", i+1), ":1", ":1")
	}
	c.want([]string{"LPOP {t}l 20", "LMPOP 1 {t}l LEFT COUNT 20", "SPOP {t}s 20", "ZPOPMIN {t}z 20", "ZMPOP 1 {t}z MIN COUNT 20"}, tooBig, tooBig, tooBig, tooBig, tooBig)
	c.want([]string{"LLEN {t}l", "SCARD {t}s", "ZCARD {t}z"}, ":20", ":20", ":20")

	var lines, want []string
	for i := range 200 {
		old := strings.Repeat(fmt.Sprint(i%10), 20000)
		lines = append(lines, "SET {t}k "+old, "GETSET {t}k x", "HGETEX {t}h PERSIST FIELDS 1 f")
		want = append(want, "OK", old, "["+strings.Repeat("f", 9000)+"]")
	}
	var over int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			default:
				over = max(over, usedByReads(f.server)-limit)
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	c.want(lines, want...)
	close(stop)
	if <-watched; over > 0 {
		t.Errorf("replies held %d bytes more than they may", over)
	}
	waitUnused(t, f.server)
}

// However many clients ask at a time, and however deep their pipelines are, their
// reads together hold no more than they may, and all are answered.
func TestReadsShareTheirMemory(t *testing.T) {
	const limit = 8 << 20
	f := start(t, func(o *Options) { o.Limits.ReadMemory = limit })
	f.server.reads.patience = patience // a slow machine serves the line more slowly
	setup := f.dial()
	setup.want([]string{"SET {t}a " + strings.Repeat("xy", 400), "SET {t}b " + strings.Repeat("x", 800)}, "OK", "OK")
	var over int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			default:
				over = max(over, usedByReads(f.server)-limit)
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	var clients sync.WaitGroup
	for range 40 {
		c := f.dial()
		clients.Add(1)
		go func() {
			defer clients.Done()
			c.send(strings.Repeat("LCS {t}a {t}b LEN\r\n", 20) + strings.Repeat("LCS {t}a {t}b IDX\r\n", 3))
			for i := range 23 {
				if got := c.reply(); strings.HasPrefix(got, "-") {
					t.Errorf("read %d: %s", i, got)
					return
				}
			}
		}()
	}
	clients.Wait()
	close(stop)
	<-watched
	if over > 0 {
		t.Errorf("reads held %d bytes too many", over)
	}
	waitUnused(t, f.server)
}

// A client that does not take a large reply keeps others waiting for as long as
// it holds it, and no longer.
func TestReplyNotTakenIsHeld(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.ReadMemory, o.Limits.MaxBulk = 100<<20, 64<<20 })
	deaf := f.dial()
	deaf.want([]string{"SETRANGE k 29999999 x"}, ":30000000")
	deaf.send("GET k\r\n")
	for end := time.Now().Add(limit.Wait()); usedByReads(f.server) < 50<<20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the reply holds %d bytes", usedByReads(f.server))
		}
	}
	other := f.dial()
	other.send("GET k\r\n")
	other.send("PING\r\n")
	if got := other.reply(); got != "-"+string(errReadMemory) {
		t.Errorf("the other client got %.50q", got)
	}
	if got := deaf.reply(); len(got) < 30_000_000 {
		t.Errorf("the first got %.50q", got)
	}
	waitUnused(t, f.server)
	third := f.dial()
	third.send("GET k\r\n")
	if got := third.reply(); len(got) < 30_000_000 {
		t.Errorf("the third got %.50q", got)
	}
	waitUnused(t, f.server)
}

func TestReadMemoryServesInLine(t *testing.T) {
	m := &readMemory{total: 100}
	if !m.take(60, nil) || m.tryTake(50) {
		t.Fatal("60 of 100, then 50")
	}
	served := make(chan int, 2)
	for i, n := range []int64{70, 20} {
		go func() {
			if m.take(n, nil) {
				served <- i
			}
		}()
		for end := time.Now().Add(limit.Wait()); ; time.Sleep(time.Millisecond) {
			m.mu.Lock()
			waiting := len(m.line)
			m.mu.Unlock()
			if waiting == i+1 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it does not wait")
			}
		}
	}
	if m.tryTake(1) {
		t.Error("somebody was let past the line")
	}
	m.give(60)
	if first, second := <-served, <-served; first+second != 1 || m.used != 90 {
		t.Errorf("%d and %d were served, %d are used", first, second, m.used)
	}
	gone := make(chan struct{})
	close(gone)
	if m.take(50, gone) {
		t.Error("who gave up was served")
	}
	if len(m.line) != 0 {
		t.Error("who gave up still waits")
	}
}
