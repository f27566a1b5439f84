package server

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/resp"
)

// transaction makes what a client sends from WATCH or MULTI to EXEC, or DISCARD.
func (g *generator) transaction() (commands [][]string) {
	if g.rnd.IntN(3) == 0 {
		commands = append(commands, []string{"WATCH", g.pick("{a}1", "{a}2", "{a}even1")})
		if g.rnd.IntN(3) == 0 { // a single command: it does not make a key and delete it again
			commands = append(commands, g.command())
		}
		if g.rnd.IntN(8) == 0 {
			commands = append(commands, []string{"UNWATCH"})
		}
	}
	commands = append(commands, []string{"MULTI"})
	for range g.rnd.IntN(8) {
		switch g.rnd.IntN(60) {
		case 0:
			commands = append(commands, []string{g.pick("UNWATCH", "PING", "GET")})
		case 1:
			if !g.plain { // Valkey refuses the transaction for the latter two
				commands = append(commands, []string{"NOSUCH"}, []string{"MULTI"}, []string{"WATCH", "{a}1"})
			}
		default:
			c := g.command()
			if strings.Contains(strings.ToLower(c[0]), "rank") && len(c) > 3 {
				c = c[:3] // Redis 7.0 refuses WITHSCORE when it is queued
			}
			commands = append(commands, c)
		}
	}
	return append(commands, []string{g.pick("EXEC", "EXEC", "EXEC", "EXEC", "exec", "DISCARD")})
}

// plainly makes a command that all versions of Redis and Valkey answer alike.
func (g *generator) plainly() []string {
	key := g.pick("{a}1", "{a}2", "{a}3", "{a}even1")
	switch g.rnd.IntN(18) {
	case 0:
		return []string{"SET", key, g.pick("1", "x", "")}
	case 1:
		return []string{"APPEND", key, "1"}
	case 2:
		return []string{"INCR", key}
	case 3:
		return []string{"HSET", key, g.pick("f", "g"), "v"}
	case 4:
		return []string{"HDEL", key, "f", "g"}
	case 5:
		return []string{"ZADD", key, g.pick("1", "2"), g.pick("a", "b", "c")}
	case 6:
		return []string{"ZRANGE", key, "0", "-1"}
	case 7:
		return []string{"EXPIRE", key, g.pick("1000", "0")}
	case 8:
		return []string{"RENAME", key, "{a}1"}
	case 9:
		return []string{"DEL", key}
	case 10:
		return []string{"MGET", key, "{a}1"}
	case 11:
		return []string{"RPUSH", key, "x", "y"}
	case 12:
		return []string{"LPOP", key, "2"}
	case 13:
		return []string{"LRANGE", key, "0", "-1"}
	case 14:
		return []string{"SADD", key, g.pick("a", "b")}
	case 15:
		return []string{"SREM", key, "a"}
	case 16:
		return []string{"TYPE", key}
	default:
		return []string{"GET", key}
	}
}

// compareQueued is compare where the command may be EXEC's, or one that waits for it.
func (d *duel) compareQueued(args []string, ours, theirs []byte) (why string) {
	queued := d.queued
	switch strings.ToLower(args[0]) {
	case "multi":
		if string(ours) == "+OK\r\n" {
			d.queued = nil
		}
	case "exec":
		d.queued = nil
		mine, err1 := resp.NewReader(bytes.NewReader(ours)).ReadValue()
		his, err2 := resp.NewReader(bytes.NewReader(theirs)).ReadValue()
		if err1 != nil || err2 != nil || len(mine.Elems) != len(queued) || len(his.Elems) != len(queued) {
			break
		}
		for i, command := range queued {
			a, b := resp.Append(nil, mine.Elems[i], 3), resp.Append(nil, his.Elems[i], 3)
			if why := d.compare(command, a, b); why != "" {
				return "in the transaction, " + show(command) + ": " + why
			}
			d.note(command)
		}
		return ""
	}
	if string(ours) == "+QUEUED\r\n" {
		d.queued = append(d.queued, args)
	} else {
		d.note(args)
	}
	return d.compare(args, ours, theirs)
}

// oracles returns the real servers that there are: see commandtest.Oracles.
func oracles(t *testing.T) map[string]string {
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
	return programs
}

// TestTransactionsAsRedis plays testdata/transactions.txt, and random transactions of
// commands that all versions answer alike, to this node and to each real server, in
// RESP2 and RESP3. In the script, a line that begins with "b: " is another client's.
func TestTransactionsAsRedis(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "transactions.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range oracles(t) {
		t.Run(name, func(t *testing.T) {
			d := newDuel(t, path)
			for proto := 2; proto <= 3; proto++ {
				for _, part := range strings.Split(string(text), "\n\n") {
					d.speak(proto)
					d.perform(name, part)
				}
			}
			seed := uint64(time.Now().UnixNano())
			for range 20 {
				seed++
				g := &generator{rnd: rand.New(rand.NewPCG(seed, 0)), plain: true}
				d.speak(2 + int(seed%2))
				var pipelines [][][]string
				for range 20 {
					pipelines = append(pipelines, g.transaction(), [][]string{g.command()})
				}
				if f := d.play(pipelines); f != nil {
					t.Fatalf("seed %d, RESP%d:\n%s", seed, d.proto, f)
				}
			}
		})
	}
}

// perform plays a part of the script. Where a line begins with the beginning of a
// server's name and "!", that server's reply is another one.
func (d *duel) perform(server, part string) {
	d.t.Helper()
	d.reset()
	other := [2]*player{dial(d.t, d.ourPort), dial(d.t, d.theirPort)}
	for _, line := range strings.Split(strings.TrimSpace(part), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		ours, theirs := d.ours, d.theirs
		if rest, ok := strings.CutPrefix(line, "b: "); ok {
			line, ours, theirs = rest, other[0], other[1]
		}
		apart := false
		if prefix, rest, ok := strings.Cut(line, "! "); ok {
			line, apart = rest, strings.HasPrefix(server, prefix)
		}
		args := script(d.t, line)[0][0]
		a, b := ours.do(d.t, args...), theirs.do(d.t, args...)
		if bytes.Equal(a, b) == apart {
			d.t.Errorf("RESP%d, in\n%s\n%s:\nours:   %q\n%s: %q", d.proto, part, line, a, server, b)
		}
	}
}
