// Package migrate sends keys to another Redis server, whatever its kind and version, as
// MIGRATE does: it is the client's side of AUTH, SELECT and RESTORE. It knows nothing of
// where the keys come from.
//
// Errors are Redis's own texts, as resp.Error.
package migrate

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/resp"
)

// Target is a server, and how to enter it.
type Target struct {
	Host, Port string
	// User and Password are sent if there is a password; without a user, the password
	// alone.
	User, Password []byte
	DB             int64
	// Timeout bounds each step: to connect, to send 64 KB, to be sent a reply.
	Timeout time.Duration
}

// Key is a key on its way.
type Key struct {
	Name    []byte
	Payload []byte // as DUMP returns it
	TTL     int64  // ms; 0: for ever
	// Replace says that a key of that name at the target gives way.
	Replace bool
}

// What ends a migration.
const (
	errConnecting = resp.Error("IOERR error or timeout connecting to the client")
	errWriting    = resp.Error("IOERR error or timeout writing to target instance")
	errReading    = resp.Error("IOERR error or timeout reading to target instance")
)

// chunk is how much is sent within one Timeout.
const chunk = 64 << 10

// Send has the target restore the keys, all in one pipeline, and tells of each whether it
// said that it has: those are there. err is the first thing that went wrong; after an error of
// the connection, keys that were not confirmed may be there, too. ctx ends it early.
func Send(ctx context.Context, to Target, keys []Key) (restored []bool, err error) {
	restored = make([]bool, len(keys))
	conn, err := to.connect(ctx)
	if err != nil {
		return restored, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	paced := &pacedConn{conn, to.Timeout}
	if to.write(paced, keys) != nil {
		return restored, errWriting
	}
	return restored, to.read(resp.NewReader(paced), restored)
}

// connect fails as Redis does, which notices only when it writes that nobody is there.
func (t *Target) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	if net.ParseIP(t.Host) == nil {
		if _, err := net.DefaultResolver.LookupHost(ctx, t.Host); err != nil {
			return nil, errConnecting
		}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(t.Host, t.Port))
	if err != nil {
		return nil, errWriting
	}
	return conn, nil
}

// write sends everything.
func (t *Target) write(conn *pacedConn, keys []Key) error {
	w := bufio.NewWriterSize(conn, chunk)
	if t.Password != nil {
		words := [][]byte{[]byte("AUTH"), t.User, t.Password}
		if t.User == nil {
			words = [][]byte{[]byte("AUTH"), t.Password}
		}
		writeCommand(w, words...)
	}
	writeCommand(w, []byte("SELECT"), strconv.AppendInt(nil, t.DB, 10))
	for i := range keys {
		k := &keys[i]
		// A cluster's node takes it into a slot that it is importing; others take it as
		// RESTORE.
		words := [][]byte{[]byte("RESTORE-ASKING"), k.Name, strconv.AppendInt(nil, k.TTL, 10), k.Payload, []byte("REPLACE")}
		if !k.Replace {
			words = words[:4]
		}
		writeCommand(w, words...)
	}
	return w.Flush() // an earlier error shows here
}

func writeCommand(w *bufio.Writer, words ...[]byte) {
	_, _ = fmt.Fprintf(w, "*%d\r\n", len(words))
	for _, word := range words {
		_, _ = fmt.Fprintf(w, "$%d\r\n", len(word))
		_, _ = w.Write(word)
		_, _ = w.WriteString("\r\n")
	}
}

// read takes the replies. Where the target has refused AUTH or SELECT, what it says of the
// keys does not count: they are in a wrong place, if anywhere.
func (t *Target) read(r *resp.Reader, restored []bool) (first error) {
	before, entered := 1, true
	if t.Password != nil {
		before++
	}
	for i := range before + len(restored) {
		v, err := r.ReadValue()
		switch {
		case err != nil && first == nil:
			return errReading
		case err != nil:
			return first
		case v.Kind == resp.KindError:
			entered = entered && i >= before
			if first == nil {
				first = resp.Error("ERR Target instance replied with error: " + string(v.Str))
			}
		case i >= before:
			restored[i-before] = entered
		}
	}
	return first
}

// pacedConn is a connection each of whose steps has a timeout of its own.
type pacedConn struct {
	net.Conn
	timeout time.Duration
}

func (c *pacedConn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err = c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return n, err
		}
		sent := 0
		sent, err = c.Conn.Write(b[n:min(n+chunk, len(b))])
		n += sent
	}
	return n, err
}

func (c *pacedConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}
