package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/testbed/limit"
)

// TestAsRedis plays random pipelines of data commands to this node and to a
// redis-server, and compares the replies byte for byte, in RESP2 and RESP3.
// Where the two may differ stands in differences.
//
//	AIKV_ASREDIS_TIME=5m   plays for so long, instead of ten seconds
//	AIKV_ASREDIS_SEED=N    begins with that seed, and so repeats a failure
//
// A failure shows the shortest trace that was found, in the form of
// command/testdata.
func TestAsRedis(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("AIKV_ASREDIS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	limit := 10 * time.Second
	if text := os.Getenv("AIKV_ASREDIS_TIME"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		limit = time.Second
	}
	d := newDuel(t, installedRedis(t))
	commands := 0
	end := time.Now().Add(limit)
	for ; commands == 0 || time.Now().Before(end); seed++ {
		g := &generator{rnd: rand.New(rand.NewPCG(seed, 0))}
		d.speak(2 + int(seed%2))
		pipelines := g.round()
		trace := slices.Concat(pipelines...)
		commands += len(trace)
		failure := d.play(pipelines)
		if failure == nil {
			continue
		}
		if shorter := d.shrink(trace); shorter != nil {
			failure = shorter
		}
		t.Fatalf("AIKV_ASREDIS_SEED=%d, RESP%d:\n%s", seed, d.proto, failure)
	}
	t.Logf("%d commands", commands)
}

// TestReadmeTellsDifferences: the documentation has what TestAsRedis lets pass.
func TestReadmeTellsDifferences(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "command", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme := strings.Join(strings.Fields(string(text)), " ")
	for _, d := range differences() {
		if !strings.Contains(readme, d.readme) {
			t.Errorf("node/command/README.md does not say %q", d.readme)
		}
	}
}

// duel is a node of ours and a redis-server, both of which own all slots.
type duel struct {
	t            *testing.T
	ours, theirs *player
	proto        int
	// inPlace holds the keys whose value was changed in place, or is the copy
	// of such a one.
	inPlace map[string]bool
	queued  [][]string // the commands that wait for EXEC

	ourPort, theirPort int
}

// player is a connection to one of the two.
type player struct {
	nc net.Conn
	r  *bufio.Reader
}

func newDuel(t *testing.T, path string) *duel {
	const maxString = 1 << 20 // so small that its edge is cheap to reach
	redis := startRedis(t, path, maxString)
	cfg := testConfig(t)
	cfg.Server.ProtoMaxBulkLen = maxString
	cfg.WAL.Fsync = config.FsyncNever // replies do not depend on it
	run(t, cfg)
	d := &duel{
		t: t, ours: dial(t, cfg.Server.Port), theirs: dial(t, redis), ourPort: cfg.Server.Port, theirPort: redis,
	}
	for _, p := range []*player{d.ours, d.theirs} {
		p.do(t, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
		for deadline := time.Now().Add(limit.Wait()); string(p.do(t, "SET", "k", "v")) != "+OK\r\n"; {
			if time.Now().After(deadline) {
				t.Fatal("a server does not serve its slots")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return d
}

// installedRedis returns where redis-server is. The test is skipped where none is
// installed.
func installedRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	return path
}

// startRedis runs a server until the test ends and returns its port.
func startRedis(t *testing.T, path string, maxString int) (port int) {
	t.Helper()
	port = freePort(t)
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
		"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)),
		"--proto-max-bulk-len", strconv.Itoa(maxString))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return port
}

func dial(t *testing.T, port int) *player {
	t.Helper()
	for deadline := time.Now().Add(limit.Wait()); ; {
		nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			t.Cleanup(func() { _ = nc.Close() })
			return &player{nc, bufio.NewReader(nc)}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pipeline sends commands at once and returns their replies as they came.
func (p *player) pipeline(t *testing.T, commands [][]string) [][]byte {
	t.Helper()
	_ = p.nc.SetDeadline(time.Now().Add(limit.Wait()))
	var out []byte
	for _, args := range commands {
		out = resp.AppendCommand(out, args...)
	}
	if _, err := p.nc.Write(out); err != nil {
		t.Fatal(err)
	}
	replies := make([][]byte, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = readRaw(p.r, nil); err != nil {
			t.Fatalf("%s: %v, after %q", show(commands[i]), err, replies[i])
		}
	}
	return replies
}

func (p *player) do(t *testing.T, args ...string) []byte {
	t.Helper()
	return p.pipeline(t, [][]string{args})[0]
}

// readRaw appends the bytes of the next reply to b.
func readRaw(r *bufio.Reader, b []byte) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	b = append(b, line...)
	if err != nil || len(line) < 3 {
		return b, err
	}
	n, _ := strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
	switch line[0] {
	case '$', '=', '!':
		if n >= 0 {
			start := len(b)
			b = append(b, make([]byte, n+2)...)
			_, err = io.ReadFull(r, b[start:])
		}
		return b, err
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		n = 0
	}
	for ; n > 0 && err == nil; n-- {
		b, err = readRaw(r, b)
	}
	return b, err
}

// speak makes both connections use the protocol version.
func (d *duel) speak(proto int) {
	d.proto = proto
	for _, p := range []*player{d.ours, d.theirs} {
		p.do(d.t, "HELLO", strconv.Itoa(proto))
	}
}

func (d *duel) reset() {
	d.inPlace, d.queued = make(map[string]bool), nil
	for _, p := range []*player{d.ours, d.theirs} {
		p.do(d.t, "DISCARD")
		p.do(d.t, "UNWATCH")
		p.do(d.t, "FLUSHALL")
	}
}

// failure is the first command of a trace whose replies differ.
type failure struct {
	trace        [][]string // up to that command
	ours, theirs []byte
	why          string
}

func (f *failure) String() string {
	var b strings.Builder
	for _, args := range f.trace {
		b.WriteString(show(args) + "\n")
	}
	fmt.Fprintf(&b, "%s\nours:   %.2000q\nRedis's: %.2000q", f.why, f.ours, f.theirs)
	return b.String()
}

// show writes a command as command/testdata has it.
func show(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if quoted := strconv.Quote(arg); arg == "" || quoted != `"`+arg+`"` || strings.ContainsRune(arg, ' ') {
			words[i] = quoted
		}
	}
	return strings.Join(words, " ")
}

// play runs pipelines on empty servers, and then compares all that is stored.
func (d *duel) play(pipelines [][][]string) *failure {
	d.reset()
	var done [][]string
	for _, commands := range pipelines {
		ours, theirs := d.ours.pipeline(d.t, commands), d.theirs.pipeline(d.t, commands)
		for i, args := range commands {
			done = append(done, args)
			if why := d.compareQueued(args, ours[i], theirs[i]); why != "" {
				return &failure{done, ours[i], theirs[i], why}
			}
		}
	}
	if f := d.compareAll(); f != nil {
		f.trace = append(done, f.trace...)
		return f
	}
	return nil
}

// shrink returns the failure of the shortest part of the trace that it finds to
// fail, command by command; nil if the whole does not.
func (d *duel) shrink(trace [][]string) (least *failure) {
	attempt := func(part [][]string) bool {
		single := make([][][]string, len(part))
		for i, args := range part {
			single[i] = [][]string{args}
		}
		f := d.play(single)
		if f == nil || least != nil && len(f.trace) >= len(least.trace) {
			return false
		}
		least = f
		return true
	}
	attempt(trace)
	if least == nil {
		return nil
	}
	trace = least.trace
	for size := len(trace) / 2; size > 0; size /= 2 {
		for at := len(trace) - size; at >= 0; at -= size {
			if attempt(slices.Concat(trace[:at], trace[at+size:])) {
				trace = least.trace
				at = min(at, len(trace))
			}
		}
	}
	return least
}

// compareAll compares what is stored, key by key, and what answers for all keys.
func (d *duel) compareAll() *failure {
	for _, p := range []*player{d.ours, d.theirs} {
		p.do(d.t, "DISCARD") // what a part of a trace has begun
	}
	ours, theirs := d.scanAll(d.ours), d.scanAll(d.theirs)
	if !slices.Equal(ours, theirs) {
		return &failure{nil, fmt.Appendf(nil, "%q", ours), fmt.Appendf(nil, "%q", theirs), "the keys at the end"}
	}
	final := [][]string{{"DBSIZE"}}
	for _, key := range ours {
		final = append(final, []string{"GET", key}, []string{"PEXPIRETIME", key}, []string{"OBJECT", "ENCODING", key},
			[]string{"TYPE", key}, []string{"ZRANGE", key, "0", "-1", "WITHSCORES"}, []string{"HGETALL", key},
			[]string{"SMEMBERS", key}, []string{"LRANGE", key, "0", "-1"})
	}
	for i, reply := range d.ours.pipeline(d.t, final) {
		expected := d.theirs.do(d.t, final[i]...)
		if why := d.compare(final[i], reply, expected); why != "" {
			return &failure{[][]string{final[i]}, reply, expected, why}
		}
	}
	random := d.ours.do(d.t, "RANDOMKEY")
	v, err := resp.NewReader(bytes.NewReader(random)).ReadValue()
	if err != nil || v.Kind == resp.KindBulk != (len(ours) > 0) ||
		v.Kind == resp.KindBulk && !slices.Contains(ours, string(v.Str)) {
		return &failure{[][]string{{"RANDOMKEY"}}, random, fmt.Appendf(nil, "one of %q", ours), "a random key"}
	}
	return nil
}

// scanAll walks over all keys in small steps and returns them sorted.
func (d *duel) scanAll(p *player) (keys []string) {
	for cursor := "0"; ; {
		v, err := resp.NewReader(bytes.NewReader(p.do(d.t, "SCAN", cursor, "COUNT", "2"))).ReadValue()
		if err != nil || len(v.Elems) != 2 {
			d.t.Fatalf("SCAN: %v, %v", v, err)
		}
		for _, key := range v.Elems[1].Elems {
			keys = append(keys, string(key.Str))
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			slices.Sort(keys)
			return slices.Compact(keys) // Redis may return a key twice
		}
	}
}
