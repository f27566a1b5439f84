package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
	"github.com/redis/go-redis/v9"
)

// fleet is some aikv processes, with failpoints, that a test starts, kills and
// commands one by one. Its folder is kept if the test fails.
type fleet struct {
	t     *testing.T
	dir   string
	nodes []*process
}

// process is one node of a fleet. What starts and kills it is for one goroutine
// at a time.
type process struct {
	t              *testing.T
	index          int
	port           int
	bin, dir       string
	env            []string      // besides the test's own
	failpoints     string        // address at which they are armed
	cmd            *exec.Cmd     // nil while it is down
	exited         chan struct{} // closed when the process is gone
	client, asking *redis.Client // one connection for the test, one for read-only questions
}

const (
	fleetRaftOffset = 2000 // Raft port = client port + this
	fleetFailOffset = 4000 // failpoint port = client port + this
)

var failpointBinary = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command(filepath.Join(root, "testbed", "failpoints.sh")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("failpoints.sh: %w\n%s", err, out)
	}
	return filepath.Join(root, "bin", "aikv-failpoints"), nil
})

// startFleet starts count lone, empty nodes, with env besides the test's own
// environment, and takes them down when the test ends.
func startFleet(t *testing.T, count int, env ...string) *fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	bin, err := failpointBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "aikv-fleet-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, dir: dir}
	base := freePorts(t, 24000, count, fleetRaftOffset, fleetFailOffset)
	for i := range count {
		p := newProcess(t, i, base+i, bin, filepath.Join(dir, fmt.Sprintf("node%d", i)))
		p.env = env
		f.nodes = append(f.nodes, p)
	}
	t.Cleanup(f.close)
	for _, p := range f.nodes {
		p.mustStart("")
	}
	return f
}

func newProcess(t *testing.T, index, port int, bin, dir string) *process {
	p := &process{
		t: t, index: index, port: port, bin: bin, dir: dir,
		failpoints: fmt.Sprintf("127.0.0.1:%d", port+fleetFailOffset),
	}
	p.client, p.asking = p.connect(), p.connect()
	return p
}

func (f *fleet) close() {
	for _, p := range f.nodes {
		p.kill()
		_ = p.client.Close()
		_ = p.asking.Close()
	}
	if f.t.Failed() {
		f.t.Logf("the nodes' logs and data are kept in %s", f.dir)
	} else if err := os.RemoveAll(f.dir); err != nil {
		f.t.Error(err)
	}
}

// connect returns a client with one connection that sends everything once.
func (p *process) connect() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: fmt.Sprintf("127.0.0.1:%d", p.port), Protocol: 2, DisableIdentity: true, PoolSize: 1,
		MaxRetries: -1, ReadTimeout: limit.Wait(), DialTimeout: limit.Wait(),
	})
}

// clusterClient follows redirects, and never sends anything twice by itself.
func (f *fleet) clusterClient() *redis.ClusterClient {
	var addrs []string
	for _, p := range f.nodes {
		addrs = append(addrs, p.client.Options().Addr)
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, MaxRedirects: 1, ReadTimeout: 5 * time.Second, DialTimeout: time.Second,
		ClusterStateReloadInterval: time.Second, DisableIdentity: true,
	})
}

// start starts the process over its folder, with failpoints armed as in
// GOFAIL_FAILPOINTS, and returns when it answers, or has ended already.
func (p *process) start(failpoints string) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.bin, "--port", strconv.Itoa(p.port), "--raft-port", strconv.Itoa(p.port+fleetRaftOffset),
		"--data-dir", filepath.Join(p.dir, "data"), "--log-level", "debug")
	cmd.Env = slices.Concat(os.Environ(), p.env, []string{"GOFAIL_HTTP=" + p.failpoints, "GOFAIL_FAILPOINTS=" + armed(failpoints)})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return poll(func() error {
		if p.down() {
			return nil
		}
		return p.asking.Ping(context.Background()).Err()
	})
}

func (p *process) mustStart(failpoints string) {
	p.t.Helper()
	if err := p.start(failpoints); err != nil {
		p.t.Fatalf("start node %d: %v", p.index, err)
	}
}

// kill ends the process as a crash of it does.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have gone by itself
	<-p.exited
	p.cmd = nil
}

// armed adds to failpoints that a panic ends the node: commands would answer it.
func armed(failpoints string) string {
	const ends = "panicsEnd=return"
	if failpoints == "" {
		return ends
	}
	return ends + ";" + failpoints
}

// arm sets what happens from now on where the process comes by a failpoint: see
// https://github.com/etcd-io/gofail.
func (p *process) arm(point, term string) {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodPut, "http://"+p.failpoints+"/"+point, strings.NewReader(term))
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatalf("arm %s of node %d: %v", point, p.index, err)
	}
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		p.t.Fatalf("arm %s of node %d: %s", point, p.index, response.Status)
	}
}

// down reports whether the process has ended.
func (p *process) down() bool {
	select {
	case <-p.exited:
		return true
	default:
		return p.cmd == nil
	}
}

// outcome is what a client can conclude from a reply.
type outcome int

const (
	done    outcome = iota // OK
	refused                // an error that says that nothing happened
	unknown                // UNCERTAIN, or no reply
)

func (o outcome) String() string { return [...]string{"done", "refused", "unknown"}[o] }

// conclude reads the outcome of a command off its error.
func conclude(err error) outcome {
	var reply redis.Error
	var network *net.OpError
	switch {
	case err == nil:
		return done
	case errors.As(err, &reply) && !strings.HasPrefix(reply.Error(), "UNCERTAIN "):
		return refused
	case errors.As(err, &network) && network.Op == "dial":
		return refused // it was never sent
	}
	return unknown
}

// ask runs a read-only command whose reply is a text.
func (p *process) ask(args ...any) (string, error) {
	return p.asking.Do(context.Background(), args...).Text()
}

// must runs a command that has to succeed.
func (p *process) must(args ...any) string {
	p.t.Helper()
	text, err := p.client.Do(context.Background(), args...).Text()
	if err != nil {
		p.t.Fatalf("node %d: %v: %v", p.index, args[:min(len(args), 4)], err)
	}
	return text
}

// id returns the node's id as it is now.
func (p *process) id() (string, error) { return p.ask("cluster", "myid") }
