package kit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// form makes the nodes one cluster: everybody meets the first node, each master
// gets its range, each replica its master.
func (c *Cluster) form(ctx context.Context) error {
	host, port, err := net.SplitHostPort(c.nodes[0].addr)
	if err != nil {
		return err
	}
	for _, n := range c.nodes[1:] {
		if err := n.must(ctx, "CLUSTER", "MEET", host, port); err != nil {
			return err
		}
	}
	shards := c.opts.Shards
	for i, n := range c.nodes[:shards] {
		first, next := border(i, shards), border(i+1, shards)
		if err := n.must(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(next-1)); err != nil {
			return err
		}
	}
	for i, n := range c.nodes[shards:] {
		master, err := c.nodes[i%shards].text(ctx, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if err := n.must(ctx, "CLUSTER", "REPLICATE", master); err != nil {
			return err
		}
	}
	return nil
}

// border is the first slot of a shard, split as redis-cli does.
func border(shard, shards int) int { return (2*slot.Count*shard + shards) / (2 * shards) }

// must sends a command whose only good answer is OK, again after an error: each
// of ours is idempotent.
func (n *node) must(ctx context.Context, args ...string) error {
	for {
		_, err := n.text(ctx, args...)
		if err == nil || !pause(ctx) {
			return err
		}
	}
}

// pause waits a little; false if ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(20 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// Ready returns when the cluster is ready, as the package comment has it, or an
// error that says what is missing when ctx ends.
func (c *Cluster) Ready(ctx context.Context) error {
	for {
		err := c.agree(ctx)
		if err == nil {
			err = c.roundTrip(ctx)
		}
		if err == nil {
			return nil
		}
		if !pause(ctx) {
			return fmt.Errorf("the cluster is not ready in time: %w", err)
		}
	}
}

// answers is what a node says of the cluster.
type answers struct{ addr, cluster, nodes, raft string } // CLUSTER INFO, CLUSTER NODES, INFO raft

// agree returns nil if all nodes show the same complete cluster.
func (c *Cluster) agree(ctx context.Context) error {
	var all []answers
	for _, n := range c.nodes {
		a := answers{addr: n.addr}
		for _, q := range []struct {
			to   *string
			args []string
		}{{&a.cluster, []string{"CLUSTER", "INFO"}}, {&a.nodes, []string{"CLUSTER", "NODES"}}, {&a.raft, []string{"INFO", "raft"}}} {
			var err error
			if *q.to, err = n.text(ctx, q.args...); err != nil {
				return err
			}
		}
		all = append(all, a)
	}
	return complete(all, c.opts.Shards)
}

// complete returns nil if these are the answers of a complete cluster of so many
// shards. The checklist of the scripts judges by the same points: testbed/golden
// holds both to one verdict.
func complete(all []answers, shards int) error {
	first, led, voters := "", 0, 3
	if len(all) < voters {
		voters = 1
	}
	for i, a := range all {
		if !strings.Contains(a.cluster, "cluster_state:ok") {
			return fmt.Errorf("%s does not say cluster_state:ok", a.addr)
		}
		plain, err := plainMap(a.nodes)
		if err != nil {
			return fmt.Errorf("%s: %w", a.addr, err)
		}
		if i == 0 {
			first = plain
		}
		if plain != first || strings.Count(plain, "\n") != len(all) {
			return fmt.Errorf("%s and %s do not show the same %d nodes", all[0].addr, a.addr, len(all))
		}
		groups, err := settledGroups(a.raft, voters)
		if err != nil {
			return fmt.Errorf("%s: %w", a.addr, err)
		}
		led += groups
	}
	if want := shards + 1; led != want { // and MetaRaft
		return fmt.Errorf("%d of %d Raft groups have a leader", led, want)
	}
	return nil
}

// text returns the text of the node's reply. An error reply is an error too.
func (n *node) text(ctx context.Context, args ...string) (string, error) {
	reply, err := send(ctx, n.addr, args...)
	return textOf(reply, err, n.addr, args)
}

func textOf(reply resp.Value, err error, addr string, args []string) (string, error) {
	if err == nil && reply.IsError() {
		err = errors.New(string(reply.Str))
	}
	if err != nil {
		return "", fmt.Errorf("%s through %s: %w", strings.Join(args, " "), addr, err)
	}
	return string(reply.Str), nil
}

// plainMap is CLUSTER NODES without what differs by design between nodes: one
// sorted line a node with id, address, role, master and slots. A failed node is an error.
func plainMap(nodes string) (string, error) {
	var lines []string
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 {
			return "", fmt.Errorf("CLUSTER NODES has the line %q", line)
		}
		if strings.Contains(f[2], "fail") || f[7] != "connected" {
			return "", fmt.Errorf("it shows %s as %s, %s", f[1], f[2], f[7])
		}
		role := strings.TrimPrefix(f[2], "myself,")
		lines = append(lines, strings.Join(append([]string{f[0], f[1], role, f[3]}, f[8:]...), " ")+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// settledGroups counts the Raft groups that the node leads; one whose members
// are not yet the wished ones, all of them caught up, or that has fewer voters
// than it should, is an error.
func settledGroups(info string, voters int) (int, error) {
	led := 0
	for line := range strings.Lines(info) {
		if !strings.Contains(line, "role=leader") {
			continue
		}
		_, count, _ := strings.Cut(line, ",voters=")
		count, _, _ = strings.Cut(count, ",")
		if n, err := strconv.Atoi(count); err != nil || n < voters {
			return 0, fmt.Errorf("a Raft group has not %d voters: %s", voters, strings.TrimSpace(line))
		}
		if !strings.Contains(line, "settled=1") {
			return 0, fmt.Errorf("a Raft group waits for its members: %s", strings.TrimSpace(line))
		}
		led++
	}
	return led, nil
}

// roundTrip writes a key through each node, reads it through the next one and
// removes it.
func (c *Cluster) roundTrip(ctx context.Context) error {
	for i, n := range c.nodes {
		next := c.nodes[(i+1)%len(c.nodes)]
		key := fmt.Sprintf("aikv:kit:%d:%d", time.Now().UnixNano(), i)
		if _, err := follow(ctx, n.addr, "SET", key, n.addr, "EX", "60"); err != nil {
			return err
		}
		got, err := follow(ctx, next.addr, "GET", key)
		if err != nil {
			return err
		}
		if got != n.addr {
			return fmt.Errorf("GET through %s says %q after SET through %s", next.addr, got, n.addr)
		}
		if _, err := follow(ctx, next.addr, "DEL", key); err != nil {
			return err
		}
	}
	return nil
}

// maxRedirects is as in other cluster clients.
const maxRedirects = 16

// follow sends a command to where redirects lead.
func follow(ctx context.Context, addr string, args ...string) (string, error) {
	to := addr
	for range maxRedirects {
		reply, err := send(ctx, to, args...)
		fields := strings.Fields(string(reply.Str))
		if err != nil || !reply.IsError() || len(fields) != 3 || fields[0] != "MOVED" {
			return textOf(reply, err, addr, args)
		}
		to = fields[2]
	}
	return "", fmt.Errorf("%s through %s: more than %d redirects", strings.Join(args, " "), addr, maxRedirects)
}
