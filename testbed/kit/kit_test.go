package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// binary is built once for all tests of this package.
var binary string

// childDir, if set, makes this test program one that a test kills: it runs a
// cluster in that folder and waits.
const childDir = "KIT_TEST_CHILD_DIR"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if dir := os.Getenv(childDir); dir != "" {
		return child(dir)
	}
	logging.Disable() // nodes fail on purpose here
	dir, err := os.MkdirTemp("", "kit")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary, err = Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	limit := time.Now().Add(limit.Wait())
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("gave up: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestClusterLivesAsLongAsTheTest(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes")
	}
	ctx := context.Background()
	var cluster *Cluster
	t.Run("test", func(t *testing.T) {
		cluster = Start(t, Options{Binary: binary})
		if len(cluster.Addrs()) != 6 {
			t.Fatalf("nodes: %v", cluster.Addrs())
		}
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: cluster.Addrs(),
			// By default the library looks once a minute who has taken a dead master over.
			ClusterStateReloadInterval: time.Second,
		})
		defer func() { _ = client.Close() }()
		for i := range 100 {
			if err := client.Set(ctx, fmt.Sprint("key", i), i, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		cluster.Kill(0)
		// {06S} is slot 0: the dead node's, until its replica has taken over.
		eventually(t, func() error { return client.Set(ctx, "{06S}", "taken over", 0).Err() })
		if err := cluster.Restart(0); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if got, err := client.Get(ctx, fmt.Sprint("key", i)).Int(); err != nil || got != i {
				t.Errorf("key%d: %d, %v", i, got, err)
			}
		}
	})
	for _, addr := range cluster.Addrs() {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			t.Errorf("%s still accepts connections", addr)
		}
	}
}

func TestMastersOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	cluster := Start(t, Options{Binary: binary, Shards: 1, ReplicasPerShard: NoReplicas, Args: []string{"--log-level", "debug"}})
	if len(cluster.Addrs()) != 1 {
		t.Fatalf("nodes: %v", cluster.Addrs())
	}
	log, err := os.ReadFile(cluster.Log(0))
	if err != nil || !bytes.Contains(log, []byte("node is ready")) {
		t.Errorf("log: %v\n%s", err, log)
	}
	if err := cluster.Restart(0); err == nil {
		t.Error("a running node was started")
	}
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three processes")
	}
	cluster := Start(t, Options{Binary: binary, Shards: 1, ReplicasPerShard: 2})
	cluster.Kill(2)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err := cluster.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), "not ready in time") {
		t.Fatalf("with a dead node: %v", err)
	}
}

func TestErrorsAreClear(t *testing.T) {
	cases := []struct {
		name, want string
		opts       Options
	}{
		{"no program", "no such file", Options{Binary: "/nonexistent/aikv"}},
		{"bad flag", "ended while starting:", Options{Binary: binary, Args: []string{"--set", "raft.tick=never"}}},
		{"its reason", "raft.tick", Options{Binary: binary, Args: []string{"--set", "raft.tick=never"}}},
		{"no shards", "make no cluster", Options{Binary: binary, Shards: -1}},
		{"too many", "too many", Options{Binary: binary, Shards: 10000}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if cluster, err := Run(t.Context(), t.TempDir(), c.opts); err == nil {
				cluster.Stop()
				t.Fatal("no error")
			} else if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q in it", err, c.want)
			}
		})
	}
}

func TestPlainMap(t *testing.T) {
	const one = "b 127.0.0.1:2@3 myself,slave a 0 5 1 connected\na 127.0.0.1:1@2 master - 7 8 1 connected 0-5 7\n"
	const other = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 7\nb 127.0.0.1:2@3 slave a 0 6 1 connected\n"
	first, err := plainMap(one)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := plainMap(other); err != nil || first != second {
		t.Errorf("%q and %q, %v", first, second, err)
	}
	for _, bad := range []string{
		strings.Replace(one, "master", "master,fail", 1),
		strings.Replace(one, "slave", "slave,fail?", 1),
		strings.Replace(one, "connected", "disconnected", 1),
		"short\n",
	} {
		if got, err := plainMap(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
	if moved, _ := plainMap(strings.Replace(one, "0-5 7", "0-5", 1)); moved == first {
		t.Error("other slots, the same map")
	}
}

// child runs a cluster until it is killed.
func child(dir string) int {
	cluster, err := Run(context.Background(), dir, Options{Shards: 1, ReplicasPerShard: NoReplicas})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(cluster.Addrs()[0])
	select {}
}

// A test program that dies without stopping its cluster takes it along (Linux).
func TestNodesDieWithTheTestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	probe := exec.Command("true")
	if dieWithParent(probe); probe.SysProcAttr == nil {
		t.Skip("cannot here: not on this system")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(program)
	parent.Env = append(os.Environ(), childDir+"="+filepath.Join(t.TempDir(), "child"), "AIKV_BIN="+binary)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	_, scanErr := fmt.Fscanln(out, &addr)
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if scanErr != nil {
		t.Fatal(scanErr)
	}
	eventually(t, func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil
		}
		_ = conn.Close()
		return errors.New(addr + " still accepts connections")
	})
}
