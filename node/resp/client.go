package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Client is one connection to a Redis server: one command at a time, for one
// goroutine.
type Client struct {
	conn   net.Conn
	reader *Reader
	buf    []byte
	broken bool
}

// Dial connects to addr (host:port). ctx bounds the connecting alone.
func Dial(ctx context.Context, addr string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, reader: NewReader(conn)}, nil
}

// ErrBroken is returned by Do after an earlier Do failed: what the server sends
// now may be the reply of that one.
var ErrBroken = errors.New("resp: the connection is broken")

// Do sends a command and returns its reply; an error reply is a Value, not an
// error. ctx's deadline and cancellation end it, and break the connection.
func (c *Client) Do(ctx context.Context, args ...string) (Value, error) {
	if c.broken {
		return Value{}, ErrBroken
	}
	deadline, _ := ctx.Deadline() // the zero time means none
	if err := c.conn.SetDeadline(deadline); err != nil {
		return Value{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() { // the deadline is, or will be, in the past
			c.broken = true
		}
	}()

	c.buf = AppendCommand(c.buf[:0], args...)
	if _, err := c.conn.Write(c.buf); err != nil {
		return Value{}, c.fail(ctx, "writing a command", err)
	}
	v, err := c.reader.ReadValue()
	if err != nil {
		return Value{}, c.fail(ctx, "reading a reply", err)
	}
	return v, nil
}

func (c *Client) fail(ctx context.Context, what string, err error) error {
	c.broken = true
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded): // a moment before ctx itself says so
		err = context.DeadlineExceeded
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }
