package shard

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// shardGroup is a shard with members that apply its log, the first one at once.
type shardGroup struct {
	log     []Entry
	members []*shardMember
}

type shardMember struct {
	m     *Machine
	store storage.Store
}

func openMember(t testing.TB, store storage.Store) *Machine {
	t.Helper()
	m, err := Open(store, command.NewTable(data.Commands()), Options{Keyspace: keyspace.Options{CacheBytes: 4 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	m.Start() // checkpoints and sweeps come when they like
	return m
}

func newShardGroup(t testing.TB) *shardGroup {
	g := new(shardGroup)
	for range 2 {
		store := storage.NewMemory()
		g.members = append(g.members, &shardMember{openMember(t, store), store})
	}
	return g
}

func (g *shardGroup) leader() *Machine { return g.members[0].m }

// apply applies an entry at the leader.
func (g *shardGroup) apply(t testing.TB, time int64, payloads ...[]byte) []resp.Value {
	t.Helper()
	e := entry(uint64(len(g.log)+1), time, payloads...)
	e.Level = command.Level
	g.log = append(g.log, Entry{Entry: e.Entry, Commands: e.Commands})
	if err := g.leader().Apply([]Entry{e}); err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, e)
}

// follow has a member apply some of the log.
func (g *shardGroup) follow(t testing.TB, member *shardMember, most int) {
	t.Helper()
	from := int(member.m.Applied())
	to := min(from+most, len(g.log))
	if err := member.m.Apply(g.log[from:to]); err != nil {
		t.Fatal(err)
	}
}

// disturb does what must make no difference to a member.
func (g *shardGroup) disturb(t testing.TB, rnd *rand.Rand) {
	t.Helper()
	n := rnd.IntN(len(g.members))
	member := g.members[n]
	switch rnd.IntN(6) {
	case 0:
		if _, err := member.m.Sync(member.m.Applied()); err != nil {
			t.Fatal(err)
		}
	case 1:
		member.m.Abandon()
		member.m = openMember(t, member.store)
		if n == 0 {
			g.follow(t, member, len(g.log))
		}
	case 2:
		g.members[0], g.members[1] = g.members[1], g.members[0]
		g.follow(t, g.members[0], len(g.log))
	default:
		g.follow(t, g.members[1], rnd.IntN(20))
	}
}

// check verifies that all members are in the same state in the end.
func (g *shardGroup) check(t testing.TB) {
	t.Helper()
	g.follow(t, g.members[1], len(g.log))
	var hashes [2][32]byte
	for i, member := range g.members {
		var err error
		if hashes[i], err = member.m.Hash(); err != nil {
			t.Fatal(err)
		}
	}
	if hashes[0] != hashes[1] {
		t.Fatalf("the members differ after %d entries", len(g.log))
	}
}

func (g *shardGroup) close() {
	for _, member := range g.members {
		member.m.Abandon()
	}
}

// moveModel plays commands to two shards between which slots move, and the same ones to
// a machine that has all slots.
type moveModel struct {
	rnd    *rand.Rand
	shards [2]*shardGroup
	owner  int // the index of the shard that owns what moves
	mirror *Machine
	now    int64
	epoch  uint64
	slots  slot.Set

	job    uint64 // 0: none is under way
	sealed bool
	moved  int // times
	failed int
}

const moveKeys = 5

func moveKey(rnd *rand.Rand) string { return fmt.Sprintf("{m%d}%d", rnd.IntN(3), rnd.IntN(moveKeys)) }

// moveLines are commands of every type. The first %s is a key, the next one another one of
// its slot, %d is a small number and %L makes values big.
var moveLines = []string{
	"set %s v%d", "set %s v%d px %d0", "append %s %L", "incr %s", "del %s", "pexpire %s %d0", "persist %s", "get %s", "strlen %s",
	"setrange %s %d abc", "getdel %s", "rename %s %s", "copy %s %s replace", "rename %s %s", "mset %s a %s b", "exists %s %s", "type %s",
	"hset %s f%d %L", "hset %s f%d %L g%d %L", "hdel %s f%d", "hgetall %s", "hpexpire %s %d0 fields 1 f%d", "hlen %s", "hincrby %s n%d 1",
	"rpush %s %L %L", "lpush %s %L", "lpop %s", "rpop %s", "lrange %s 0 -1", "ltrim %s 0 %d", "lmove %s %s left right", "linsert %s before x%d y",
	"sadd %s a%d b%d %L", "srem %s a%d", "smembers %s", "sunionstore %s %s", "smove %s %s a%d", "sinter %s %s",
	"zadd %s %d a%d %d %L", "zrem %s a%d", "zrange %s 0 -1 withscores", "zincrby %s 1 a%d", "zunionstore %s 1 %s", "zpopmin %s",
	"pfadd %s a%d", "pfmerge %s %s", "bitop or %s %s", "setbit %s %d 1",
}

func (x *moveModel) command() string {
	line := moveLines[x.rnd.IntN(len(moveLines))]
	key := moveKey(x.rnd)
	tag := key[:strings.Index(key, "}")+1]
	var out strings.Builder
	for first := true; ; {
		at := strings.IndexByte(line, '%')
		if at < 0 {
			return out.String() + line
		}
		out.WriteString(line[:at])
		switch verb := line[at+1]; {
		case verb == 's' && first:
			out.WriteString(key)
			first = false
		case verb == 's':
			fmt.Fprintf(&out, "%s%d", tag, x.rnd.IntN(moveKeys))
		case verb == 'd':
			fmt.Fprint(&out, x.rnd.IntN(40))
		default:
			fmt.Fprintf(&out, "%d:%s", x.rnd.IntN(60), strings.Repeat("x", 1+x.rnd.IntN(2)*x.rnd.IntN(1500)))
		}
		line = line[at+2:]
	}
}

// play plays a command, or a transaction of some, to the owner and, if it ran, to the
// mirror.
func (x *moveModel) play(t *testing.T) {
	t.Helper()
	x.now += int64(x.rnd.IntN(4))
	p := payload(x.command())
	switch x.rnd.IntN(30) {
	case 0:
		p = command.AppendTransaction(nil, nil)
		first := words(x.command())
		p = command.AppendArgs(p, first)
		if s := slot.Of(first[1]); len(first) > 1 {
			for range x.rnd.IntN(3) {
				if next := words(x.command()); slot.Of(next[1]) == s {
					p = command.AppendArgs(p, next)
				}
			}
		}
	case 1:
		p = command.AppendSweep(nil)
	}
	got := x.shards[x.owner].apply(t, x.now, p)[0]
	if x.sealed {
		if string(got.Str) != string(command.ErrChanging) && !bytes.Equal(p, command.AppendSweep(nil)) {
			t.Fatalf("behind the seal, %q is answered %s", p, resp.FormatCLI(got, true))
		}
		return
	}
	want := apply(t, x.mirror, x.now, p)[0]
	if !bytes.Equal(p, command.AppendSweep(nil)) && resp.FormatCLI(got, true) != resp.FormatCLI(want, true) {
		t.Fatalf("%q: the shard answers %s, the mirror %s", p, resp.FormatCLI(got, true), resp.FormatCLI(want, true))
	}
}

// flush flushes both shards and the mirror, if they may be.
func (x *moveModel) flush(t *testing.T) {
	t.Helper()
	source, target := x.shards[x.owner], x.shards[1-x.owner]
	if v := target.apply(t, x.now, payload("flushall"))[0]; string(v.Str) != "OK" {
		if complete := importOf(t, target.leader(), x.job).Complete; complete == 0 || string(v.Str) != string(command.ErrChanging) {
			t.Fatalf("FLUSHALL is answered %s", resp.FormatCLI(v, true))
		}
		return
	}
	mustOK(t, source.apply(t, x.now, payload("flushall"))[0])
	mustOK(t, apply(t, x.mirror, x.now, payload("flushall"))[0])
}

// move does one step of a migration, as its worker would.
func (x *moveModel) move(t *testing.T) {
	t.Helper()
	source, target := x.shards[x.owner], x.shards[1-x.owner]
	if x.job == 0 {
		x.epoch++
		x.job = 1000 + x.epoch
		mustOK(t, source.apply(t, x.now, AppendWatch(nil, x.job, x.slots))[0])
		mustOK(t, target.apply(t, x.now, AppendImport(nil, x.job, x.slots))[0])
		return
	}
	in := importOf(t, target.leader(), x.job)
	if in.Complete != 0 {
		x.complete(t)
		return
	}
	p, err := source.members[x.rnd.IntN(2)].m.Pull(x.job, in.Position, 1+x.rnd.IntN(6000))
	switch {
	case errors.Is(err, ErrNotWatched), errors.Is(err, ErrBehind): // at a member that lags
		return
	case errors.Is(err, ErrLost) || in.Failed:
		x.cancel(t)
		return
	case err != nil:
		t.Fatal(err)
	}
	if !p.Next.Equal(in.Position) || p.Complete != 0 {
		piece := AppendPiece(nil, x.job, in.Position, p.Next, p.Piece)
		mustOK(t, target.apply(t, x.now, piece)[0])
		if v := target.apply(t, x.now, piece)[0]; string(v.Str) == "OK" {
			t.Fatal("a piece was taken twice")
		}
	}
	switch {
	case p.End && !x.sealed && x.rnd.IntN(3) == 0:
		x.epoch++
		x.sealed = true
		mustOK(t, source.apply(t, x.now, AppendSeal(nil, x.slots, x.epoch))[0])
	case x.rnd.IntN(60) == 0:
		x.cancel(t)
	}
}

// complete gives the slots to the target.
func (x *moveModel) complete(t *testing.T) {
	t.Helper()
	source, target := x.shards[x.owner], x.shards[1-x.owner]
	if x.rnd.IntN(8) == 0 {
		x.cancel(t) // at the last moment
		return
	}
	mustOK(t, target.apply(t, x.now, AppendOwn(nil, x.slots, x.epoch), AppendEndImport(nil, x.job))[0])
	x.drop(t, source)
	source.apply(t, x.now, AppendUnwatch(nil, x.job))
	x.owner, x.job, x.sealed = 1-x.owner, 0, false
	x.moved++
}

// cancel leaves the slots where they are.
func (x *moveModel) cancel(t *testing.T) {
	t.Helper()
	source, target := x.shards[x.owner], x.shards[1-x.owner]
	x.epoch++
	mustOK(t, source.apply(t, x.now, AppendOwn(nil, x.slots, x.epoch), AppendUnwatch(nil, x.job))[0])
	target.apply(t, x.now, AppendEndImport(nil, x.job))
	x.drop(t, target)
	x.job, x.sealed = 0, false
	x.failed++
}

func (x *moveModel) drop(t *testing.T, g *shardGroup) {
	t.Helper()
	for g.leader().Garbage(&x.slots) > 0 {
		g.apply(t, x.now, AppendDrop(nil, x.slots, x.epoch, 1+x.rnd.IntN(5)))
		g.disturb(t, x.rnd)
	}
	if residue := g.leader().Residue(); !residue.Empty() {
		t.Fatalf("residue %v", residue)
	}
}

// check compares what the owner shows with the mirror.
func (x *moveModel) check(t *testing.T) {
	t.Helper()
	// The mirror has had no entry while the slots were sealed: what has expired since
	// would be there to it.
	apply(t, x.mirror, x.now, command.AppendTick(nil))
	x.shards[x.owner].apply(t, x.now, command.AppendTick(nil))
	owner := x.shards[x.owner].leader()
	table := command.NewTable(data.Commands())
	for tag := range 3 {
		for i := range moveKeys {
			key := fmt.Sprintf("{m%d}%d", tag, i)
			for _, line := range []string{"dump ", "pexpiretime ", "type ", "object encoding "} {
				args := words(line + key)
				cmd, err := table.Lookup(args)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := read(t, owner, cmd, args, x.now)
				want, _ := read(t, x.mirror, cmd, args, x.now)
				if string(got.Str) == string(command.ErrChanging) && x.sealed {
					continue
				}
				if resp.FormatCLI(got, true) != resp.FormatCLI(want, true) {
					t.Fatalf("%s%s: %s, want %s", line, key, resp.FormatCLI(got, true), resp.FormatCLI(want, true))
				}
			}
		}
	}
}

// TestMoveModel: whatever moves back and forth under commands of all types, with members
// that lag, crash and lead by turns, with FLUSHALL and canceled jobs, clients are answered
// as by a shard that has everything, and all members of a shard agree.
func TestMoveModel(t *testing.T) {
	for range 6 {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			x := &moveModel{rnd: rand.New(rand.NewPCG(seed, 0)), mirror: openMember(t, storage.NewMemory()), now: 1000, epoch: 1}
			defer x.mirror.Abandon()
			for i := range x.shards {
				x.shards[i] = newShardGroup(t)
				defer x.shards[i].close()
			}
			for tag := range 3 {
				n := slot.Of(fmt.Appendf(nil, "{m%d}", tag))
				around := uint16(x.rnd.IntN(50))
				x.slots.AddRange(slot.Range{Start: n - min(n, around), End: min(n+around, slot.Count-1)})
			}
			x.shards[0].apply(t, 1, AppendOwn(nil, x.slots, 1))
			apply(t, x.mirror, 1, AppendOwn(nil, slot.Full(), 1))
			for range 1500 {
				switch x.rnd.IntN(10) {
				case 0, 1:
					x.move(t)
				case 2:
					x.shards[x.rnd.IntN(2)].disturb(t, x.rnd)
				case 3:
					switch {
					case x.rnd.IntN(15) == 0:
						x.flush(t)
					case x.rnd.IntN(10) == 0:
						x.check(t)
					}
				default:
					x.play(t)
				}
			}
			x.check(t)
			for _, g := range x.shards {
				g.check(t)
			}
			if x.moved == 0 {
				t.Errorf("nothing has moved; %d jobs have failed", x.failed)
			}
			t.Logf("%d moves, %d failed", x.moved, x.failed)
		})
	}
}
