package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/node/slot"
)

// toCluster finds the masters, and which keys each of them has. Clients are bound
// to one master each, in turn, as those of redis-benchmark are.
func (o *options) toCluster(ctx context.Context, keys []string) error {
	one := redis.NewClient(&redis.Options{Addr: o.addr})
	defer func() { _ = one.Close() }()
	//lint:ignore SA1019 CLUSTER SLOTS names a range with its nodes, which is all that is asked.
	ranges, err := one.ClusterSlots(ctx).Result()
	if err != nil {
		return err
	}
	var masters []string
	place := make(map[string]int)
	var owner [slot.Count]int
	served := 0
	for _, r := range ranges {
		addr := r.Nodes[0].Addr
		if _, ok := place[addr]; !ok {
			place[addr] = len(masters)
			masters = append(masters, addr)
		}
		for s := r.Start; s <= r.End; s++ {
			owner[s] = place[addr]
			served++
		}
	}
	if served != slot.Count {
		return fmt.Errorf("%d of %d slots have a master", served, slot.Count)
	}
	o.shares = make([][]string, len(masters))
	for _, key := range keys {
		to := owner[slot.Of([]byte(key))]
		o.shares[to] = append(o.shares[to], key)
	}
	for i, share := range o.shares {
		if len(share) == 0 {
			return fmt.Errorf("%s has none of the keys: ask for more", masters[i])
		}
	}
	o.dial = dialTo(masters)
	return nil
}

// respClient speaks RESP.
type respClient struct {
	conn  net.Conn
	in    *bufio.Reader
	out   []byte
	value []byte
}

func dialTo(addrs []string) func(context.Context, *options, int) (client, error) {
	return func(ctx context.Context, o *options, n int) (client, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addrs[n%len(addrs)])
		if err != nil {
			return nil, err
		}
		return &respClient{conn: conn, in: bufio.NewReaderSize(conn, 32<<10), value: o.value}, nil
	}
}

func (c *respClient) close() { _ = c.conn.Close() }

func (c *respClient) do(ops []operation) error {
	out := c.out[:0]
	for _, op := range ops {
		if op.set {
			out = appendBulk(append(out, "*3\r\n$3\r\nSET\r\n"...), op.key)
			out = appendBulk(out, string(c.value))
		} else {
			out = appendBulk(append(out, "*2\r\n$3\r\nGET\r\n"...), op.key)
		}
	}
	c.out = out
	if _, err := c.conn.Write(out); err != nil {
		return err
	}
	for range ops {
		if err := c.reply(); err != nil {
			return err
		}
	}
	return nil
}

func appendBulk(dst []byte, s string) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(s)), 10)
	return append(append(append(dst, "\r\n"...), s...), "\r\n"...)
}

// reply reads one: a status or a value that is there. Anything else is a failure,
// as it was not what is to be measured.
func (c *respClient) reply() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	switch {
	case line[0] == '+':
		return nil
	case line[0] == '$' && line[1] != '-':
		size, err := strconv.Atoi(string(line[1 : len(line)-2]))
		if err != nil {
			return err
		}
		_, err = c.in.Discard(size + 2)
		return err
	case line[0] == '$':
		return errors.New("a key is not there: populate first")
	default:
		return fmt.Errorf("the answer is %q", line)
	}
}
