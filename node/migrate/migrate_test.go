package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/testbed/limit"
)

// Real servers take keys of every option, and say themselves what they do not like.
func TestSendToRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		o.Ask("SET", "made", "value")
		payload := o.Ask("DUMP", "made").Str
		host, port, _ := net.SplitHostPort(o.Addr)
		to := Target{Host: host, Port: port, Timeout: limit.Wait()}
		send := func(keys ...Key) string {
			restored, err := Send(t.Context(), to, keys)
			return fmt.Sprint(restored, " ", err)
		}
		want := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		refused := "ERR Target instance replied with error: "

		key := Key{Name: []byte("k"), Payload: payload}
		busy := refused + "BUSYKEY Target key name already exists."
		want(send(key), "[true] <nil>")
		want(string(o.Ask("GET", "k").Str), "value")
		want(send(key), "[false] "+busy)
		other, replacing := Key{Name: []byte("other\r\n"), Payload: payload, TTL: 1e6}, key
		replacing.Replace = true
		want(send(key, other), "[false true] "+busy)
		want(send(replacing), "[true] <nil>")
		if ttl := o.Ask("PTTL", "other\r\n").Int; ttl <= 0 || ttl > 1e6 {
			t.Errorf("the time to live is %d", ttl)
		}
		want(send(Key{Name: []byte("bad"), Payload: []byte("junk")}), "[false] "+refused+"ERR DUMP payload version or checksum are wrong")

		to.DB = 5
		want(send(key), "[true] <nil>")
		to.DB = 1 << 20
		want(send(replacing), "[false] "+refused+"ERR DB index is out of range")
		to.DB = 0
		to.Password = []byte("secret")
		want(send(replacing), "[false] "+refused+"ERR AUTH <password> called without any password configured for the default user. "+
			"Are you sure your configuration is correct?")
		o.Ask("CONFIG", "SET", "requirepass", "secret")
		want(send(replacing), "[true] <nil>")
		to.User = []byte("nobody")
		want(send(replacing), "[false] "+refused+"WRONGPASS invalid username-password pair or user is disabled.")
		to.User = []byte("default")
		want(send(replacing), "[true] <nil>")
		o.Ask("CONFIG", "SET", "requirepass", "")
	})
}

// A large value goes in pieces.
func TestSendLarge(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		value := strings.Repeat("0123456789abcdef", 1<<20)
		o.Ask("CONFIG", "SET", "rdbcompression", "no")
		o.Ask("SET", "made", value)
		key := Key{Name: []byte("k"), Payload: o.Ask("DUMP", "made").Str}
		host, port, _ := net.SplitHostPort(o.Addr)
		restored, err := Send(t.Context(), Target{Host: host, Port: port, Timeout: limit.Wait()}, []Key{key})
		if err != nil || !restored[0] || string(o.Ask("GET", "k").Str) != value {
			t.Errorf("%v, %v", restored, err)
		}
	})
}

// What a broken target costs is Redis's error, and what it has confirmed stays confirmed.
func TestSendToBrokenServers(t *testing.T) {
	const patient, impatient = time.Minute, 30 * time.Millisecond // deadline: the impatient ones are to run out of time
	two := []Key{{Name: []byte("a"), Payload: []byte("x")}, {Name: []byte("b"), Payload: []byte("y")}}
	large := []Key{{Name: []byte("a"), Payload: make([]byte, 64<<20)}}
	for name, c := range map[string]struct {
		serve    serving
		keys     []Key
		timeout  time.Duration
		restored []bool
		err      error
	}{
		"says nothing":    {wait, two, impatient, []bool{false, false}, errReading},
		"closes":          {func(c net.Conn, _ <-chan struct{}) { discard(c, 2) }, two, patient, []bool{false, false}, errReading},
		"closes midway":   {replies("+OK\r\n+OK\r\n"), two, patient, []bool{true, false}, errReading},
		"no reply at all": {replies("+OK\r\n?\r\n"), two, patient, []bool{false, false}, errReading},
		"takes nothing":   {wait, large, impatient, []bool{false}, errWriting},
		"error, then end": {replies("+OK\r\n-ERR no\r\n"), two, patient, []bool{false, false}, resp.Error("ERR Target instance replied with error: ERR no")},
		"not let in":      {replies("-NOAUTH no\r\n+OK\r\n+OK\r\n"), two, patient, []bool{false, false}, resp.Error("ERR Target instance replied with error: NOAUTH no")},
	} {
		t.Run(name, func(t *testing.T) {
			host, port, _ := net.SplitHostPort(listen(t, c.serve))
			restored, err := Send(t.Context(), Target{Host: host, Port: port, Timeout: c.timeout}, c.keys)
			if !slices.Equal(restored, c.restored) || !errors.Is(err, c.err) {
				t.Errorf("%v, %v", restored, err)
			}
		})
	}
}

func TestSendToNobody(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(closed.Addr().String())
	_ = closed.Close()
	for _, c := range []struct {
		host, port string
		want       error
	}{
		{"127.0.0.1", port, errWriting},
		{"127.0.0.1", "99999", errWriting},
		{"127.0.0.1", "port", errWriting},
		{"no such host", port, errConnecting},
	} {
		_, err := Send(t.Context(), Target{Host: c.host, Port: c.port, Timeout: limit.Wait()}, make([]Key, 1))
		if !errors.Is(err, c.want) {
			t.Errorf("%s:%s: %v", c.host, c.port, err)
		}
	}
}

// The node's end does not wait for a target that says nothing.
func TestSendCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	host, port, _ := net.SplitHostPort(listen(t, func(conn net.Conn, over <-chan struct{}) {
		discard(conn, 1)
		cancel()
		<-over
	}))
	if _, err := Send(ctx, Target{Host: host, Port: port, Timeout: time.Hour}, make([]Key, 1)); !errors.Is(err, errReading) {
		t.Error(err)
	}
}

// serving serves a connection, until the test is over.
type serving func(conn net.Conn, over <-chan struct{})

// listen serves one connection, and returns where.
func listen(t *testing.T, serve serving) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := ln.Accept(); err == nil {
			serve(conn, over)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		close(over)
		<-done
	})
	return ln.Addr().String()
}

// wait neither reads nor writes.
func wait(_ net.Conn, over <-chan struct{}) { <-over }

// discard takes commands.
func discard(conn net.Conn, commands int) {
	r := resp.NewReader(conn)
	for range commands {
		_, _ = r.ReadValue()
	}
}

// replies answers a whole pipeline of two keys, with what is not enough.
func replies(text string) serving {
	return func(conn net.Conn, _ <-chan struct{}) {
		discard(conn, 3)
		_, _ = io.WriteString(conn, text)
	}
}
