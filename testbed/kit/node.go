package kit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/resp"
)

// Ports lie where neither the kernel's outgoing connections have theirs (32768
// to 60999 on Linux) nor, usually, anybody else.
const (
	firstPort  = 17340
	lastPort   = 21760
	raftOffset = 10000 // Raft port = client port + this, as the scripts have it
)

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts returns the first of count client ports in a row that are free with
// their Raft ports.
func freePorts(count int) (int, error) {
	if count > lastPort-firstPort {
		return 0, fmt.Errorf("%d nodes are too many", count)
	}
	for range 200 {
		base := firstPort + rand.IntN(lastPort-firstPort-count+1)
		if allFree(base, count) {
			return base, nil
		}
	}
	return 0, errors.New("no free ports between 17340 and 21760")
}

func allFree(base, count int) bool {
	for port := base; port < base+count; port++ {
		for _, p := range [...]int{port, port + raftOffset} {
			listener, err := net.Listen("tcp", address(p))
			if err != nil {
				return false
			}
			_ = listener.Close()
		}
	}
	return true
}

// node is one aikv process.
type node struct {
	addr    string
	dir     string // of its data; its log is beside it
	command []string

	process *exec.Cmd     // nil while it does not run
	exited  chan struct{} // closed when process has ended
}

func (c *Cluster) command(port int, dir string) []string {
	args := []string{
		c.opts.Binary, "serve", "--port", strconv.Itoa(port), "--raft-port", strconv.Itoa(port + raftOffset), "--data-dir", dir,
	}
	return append(args, c.opts.Args...)
}

func (n *node) log() string { return n.dir + ".log" }

// start starts the process.
func (n *node) start() error {
	if n.process != nil {
		return fmt.Errorf("node %s runs already", n.addr)
	}
	if err := os.MkdirAll(filepath.Dir(n.dir), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(n.command[0], n.command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = environment()
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %s: %w", n.addr, err)
	}
	n.process, n.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) { // ends with the process, which kill ends
		_ = cmd.Wait()
		close(exited)
	}(n.exited)
	return nil
}

// environment is the test's own without what would configure the nodes. They
// share the machine: each computes on its part of the cores, unless the test's
// environment says otherwise.
func environment() []string {
	env := []string{fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/6))}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "AIKV_") {
			env = append(env, entry)
		}
	}
	return env
}

func (n *node) kill() {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill() // an error says that it has ended already
	<-n.exited
	n.process = nil
}

// errPortTaken: somebody has taken a port since it was found free.
var errPortTaken = errors.New("a port is in use")

// answers waits until the node answers, or has ended.
func (n *node) answers(ctx context.Context) error {
	for {
		_, err := n.text(ctx, "PING")
		if err == nil {
			return nil
		}
		select {
		case <-n.exited:
			if log := n.tail(); strings.Contains(log, "in use") {
				return fmt.Errorf("node %s: %w", n.addr, errPortTaken)
			}
			return fmt.Errorf("node %s ended while starting:\n%s", n.addr, n.tail())
		case <-ctx.Done():
			return fmt.Errorf("node %s does not answer in time: %w", n.addr, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tail returns the last lines of the node's log.
func (n *node) tail() string {
	text, err := os.ReadFile(n.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// send sends one command on a connection of its own.
func send(ctx context.Context, addr string, args ...string) (resp.Value, error) {
	client, err := resp.Dial(ctx, addr)
	if err != nil {
		return resp.Value{}, err
	}
	defer func() { _ = client.Close() }()
	return client.Do(ctx, args...)
}
