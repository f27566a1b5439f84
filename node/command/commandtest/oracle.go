package commandtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/testbed/limit"
)

// Oracle is a real server that commands are compared with.
type Oracle struct {
	Name   string // redis-server, redis-server-8, valkey-server-9
	Addr   string // host:port
	t      testing.TB
	client *resp.Client
}

// Oracles calls play with each real server that is there: the redis-server of PATH,
// and redis-server-8 and valkey-server-9 in the folder that AIKV_ORACLES names. The
// test is skipped where there is none.
func Oracles(t *testing.T, play func(t *testing.T, o *Oracle)) {
	oracles(t, func(testing.TB) []string { return nil }, play)
}

// ClusterOracles is Oracles with servers in cluster mode, each alone and without slots.
func ClusterOracles(t *testing.T, play func(t *testing.T, o *Oracle)) {
	oracles(t, func(t testing.TB) []string {
		return []string{"--cluster-enabled", "yes", "--cluster-port", FreePort(t)}
	}, play)
}

func oracles(t *testing.T, args func(testing.TB) []string, play func(t *testing.T, o *Oracle)) {
	t.Helper()
	programs := make(map[string]string)
	if path, err := exec.LookPath("redis-server"); err == nil {
		programs["redis-server"] = path
	}
	for _, name := range []string{"redis-server-8", "valkey-server-9"} {
		path := filepath.Join(os.Getenv("AIKV_ORACLES"), name)
		if _, err := os.Stat(path); err == nil {
			programs[name] = path
		}
	}
	if len(programs) == 0 {
		t.Skip("no redis-server is installed")
	}
	for name, path := range programs {
		t.Run(name, func(t *testing.T) {
			o := start(t, path, args(t)...)
			o.Name = name
			play(t, o)
		})
	}
}

// Redis starts the redis-server of PATH, with more arguments; the test is skipped
// where there is none.
func Redis(t testing.TB, args ...string) *Oracle {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	return start(t, path, args...)
}

// FreePort returns a port that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func start(t testing.TB, path string, args ...string) *Oracle {
	t.Helper()
	port := FreePort(t)
	args = append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir()}, args...)
	server := exec.Command(path, args...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
	defer cancel()
	for ctx.Err() == nil {
		c, err := resp.Dial(ctx, "127.0.0.1:"+port)
		if err == nil {
			if v, err := c.Do(ctx, "HELLO", "3"); err == nil && v.Kind == resp.KindMap {
				t.Cleanup(func() { c.Close() })
				return &Oracle{Name: "redis-server", Addr: "127.0.0.1:" + port, t: t, client: c}
			}
			c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", path)
	return nil
}

// Ask runs a command on the server.
func (o *Oracle) Ask(args ...string) resp.Value {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
	defer cancel()
	v, err := o.client.Do(ctx, args...)
	if err != nil {
		o.t.Fatal(err)
	}
	return v
}

// Game is a comparison of a bench with a server.
type Game struct {
	Bench  *Bench
	Oracle *Oracle
	// Unordered says of which commands the order of a reply's elements means nothing.
	Unordered func(args []string) bool
	// Differ says which replies may differ, and why: "" if they may not.
	Differ func(args []string, ours, theirs resp.Value) (why string)

	trace []string
}

// Lines compares the replies to the commands, in RESP3 and, where they are run again,
// in RESP2: both begin with FLUSHALL.
func (g *Game) Lines(lines ...string) {
	for _, version := range []int{3, 2} {
		g.protocol(version)
		g.lines(append([]string{"FLUSHALL"}, lines...))
	}
}

func (g *Game) lines(lines []string) {
	t := g.Bench.T
	t.Helper()
	for _, line := range lines {
		var args []string
		for _, word := range Words(t, line) {
			args = append(args, string(word))
		}
		if !g.compare(args) {
			t.Errorf("%s", g.trace[len(g.trace)-1])
		}
	}
}

// Random compares the replies to as many commands as draw makes, a third of them in
// RESP2. It ends with the first difference, and then shows the seed and everything
// that was played since the last FLUSHALL. AIKV_GAME_SEED repeats a game.
func (g *Game) Random(steps int, draw func(rnd *rand.Rand) []string) {
	t := g.Bench.T
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("AIKV_GAME_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	g.trace = nil
	g.protocol(3)
	for range steps {
		if rnd.IntN(200) == 0 {
			g.trace = nil
			g.compare([]string{"FLUSHALL"})
		}
		if rnd.IntN(20) == 0 {
			g.protocol(2 + rnd.IntN(2))
		}
		if !g.compare(draw(rnd)) {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(g.trace, "\n"))
		}
	}
}

// protocol has the server's replies made for a version of the protocol.
func (g *Game) protocol(version int) {
	g.Bench.Env.Session.SetProto(version)
	g.Oracle.Ask("HELLO", strconv.Itoa(version))
}

// compare runs a command on both, and reports whether they agree. What they said is
// the last line of the trace.
func (g *Game) compare(args []string) bool {
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	proto := g.Bench.Env.Session.Proto()
	theirs := g.Oracle.Ask(args...)
	encoded := g.Bench.Encoded(words, proto)
	ours, err := resp.Parse(encoded)
	if err != nil {
		g.Bench.T.Fatalf("%q: the reply %q: %v", args, encoded, err)
	}
	g.trace = append(g.trace, fmt.Sprintf("%q", args))
	if g.Unordered != nil && g.Unordered(args) {
		sortElements(ours)
		sortElements(theirs)
	}
	a, b := resp.Append(nil, ours, 3), resp.Append(nil, theirs, 3)
	if bytes.Equal(a, b) || g.Differ != nil && g.Differ(args, ours, theirs) != "" {
		return true
	}
	g.trace[len(g.trace)-1] += fmt.Sprintf(" in RESP%d:\n%q\n%s says\n%q", proto, a, g.Oracle.Name, b)
	return false
}

func sortElements(v resp.Value) {
	slices.SortFunc(v.Elems, func(a, b resp.Value) int {
		return bytes.Compare(resp.Append(nil, a, 3), resp.Append(nil, b, 3))
	})
}
