package shard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

func words(line string) [][]byte {
	var args [][]byte
	for _, word := range strings.Fields(line) {
		args = append(args, []byte(word))
	}
	return args
}

func payload(line string) []byte { return command.AppendArgs(nil, words(line)) }

func open(t testing.TB, store storage.Store) *Machine {
	t.Helper()
	m, err := Open(store, command.NewTable(data.Commands()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reopen closes a machine and opens what its store holds.
func reopen(t testing.TB, m *Machine, store storage.Store) *Machine {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, store)
}

// apply applies one entry and returns the replies.
func apply(t testing.TB, m *Machine, time int64, payloads ...[]byte) []resp.Value {
	t.Helper()
	e := entry(m.Applied()+1, time, payloads...)
	if err := m.Apply([]Entry{e}); err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, e)
}

// entry is one whose replies somebody waits for.
func entry(index uint64, time int64, payloads ...[]byte) Entry {
	e := Entry{Entry: command.Entry{Index: index, Time: time, MaxString: 64 << 20}, Commands: payloads}
	for range payloads {
		r := new(resp.Reply)
		r.Init(3)
		e.Replies = append(e.Replies, r)
	}
	return e
}

// valuesOf returns the replies to an entry's commands.
func valuesOf(t testing.TB, e Entry) []resp.Value {
	t.Helper()
	values := make([]resp.Value, len(e.Replies))
	for i, r := range e.Replies {
		values[i] = valueOf(t, r)
	}
	return values
}

func valueOf(t testing.TB, r *resp.Reply) resp.Value {
	t.Helper()
	v, err := resp.Parse(r.Bytes())
	if err != nil {
		t.Errorf("the reply %q: %v", r.Bytes(), err)
	}
	return v
}

// read evaluates a command.
func read(t testing.TB, m *Machine, cmd *command.Command, words [][]byte, now int64) (v resp.Value, behind bool) {
	t.Helper()
	return readAs(t, m, cmd, words, command.Reading{LocalNow: now})
}

func readAs(t testing.TB, m *Machine, cmd *command.Command, words [][]byte, by command.Reading) (v resp.Value, behind bool) {
	t.Helper()
	var r resp.Reply
	var args command.Args
	r.Init(3)
	args.Set(cmd, words)
	view := &command.View{Reading: by}
	if behind = m.Read(&args, view, &r); behind && view.View != nil {
		t.Errorf("%s has kept the state that it must not answer from", words[0])
	}
	view.End()
	return valueOf(t, &r), behind
}

func parseSlots(t *testing.T, text string) slot.Set {
	var ranges []slot.Range
	for _, part := range strings.Split(text, ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		start, err1 := strconv.ParseUint(from, 10, 16)
		end, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil {
			t.Fatalf("bad slots %q", text)
		}
		ranges = append(ranges, slot.Range{Start: uint16(start), End: uint16(end)})
	}
	return slot.FromRanges(ranges)
}

// TestMachine runs testdata/machine.txt. Directives:
//
//	apply time=N    one entry; each line a command, or "own SLOTS EPOCH", "seal SLOTS EPOCH", "tick", "sweep",
//	                "mark SLOTS MARK EPOCH", "import JOB SLOTS", "endimport JOB", "drop SLOTS EPOCH LIMIT",
//	                or "( COMMAND ; COMMAND … )", a transaction; it begins with what was watched. Each may
//	                stand behind "asking"
//	read now=N      each line a command, or a transaction of them, behind "asking" or not
//	watch now=N     each line a key
//	state           what the machine knows
//	stats           the counters, which are reset
//	slots LIST      owned and epoch of each slot
//	reopen          opens the store again
func TestMachine(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		store := storage.NewMemory()
		m := open(t, store)
		table := command.NewTable(data.Commands(), admin.Commands(nil))
		var watched []command.Watched
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			switch d.Cmd {
			case "apply":
				var time int64
				d.ScanArgs(t, "time", &time)
				lines := strings.Split(d.Input, "\n")
				var payloads [][]byte
				for _, line := range lines {
					payloads = append(payloads, payloadOf(t, line, watched))
				}
				watched = nil
				for i, v := range apply(t, m, time, payloads...) {
					fmt.Fprintf(&out, "%s: %s", lines[i], resp.FormatCLI(v, true))
				}
			case "read":
				var now int64
				d.ScanArgs(t, "now", &now)
				for _, line := range strings.Split(d.Input, "\n") {
					asking := strings.HasPrefix(line, "asking ")
					if line[0] == '(' || strings.HasPrefix(line, "asking (") {
						v, behind := execute(t, m, payloadOf(t, line, watched), now)
						fmt.Fprintf(&out, "%s:%s %s", line, mark(behind), resp.FormatCLI(v, true))
						watched = nil
						continue
					}
					args := words(strings.TrimPrefix(line, "asking "))
					cmd, err := table.Lookup(args)
					if err != nil {
						t.Fatal(err)
					}
					v, behind := readAs(t, m, cmd, args, command.Reading{LocalNow: now, Asking: asking})
					fmt.Fprintf(&out, "%s:%s %s", line, mark(behind), resp.FormatCLI(v, true))
				}
			case "watch":
				var now int64
				d.ScanArgs(t, "now", &now)
				view := m.keys.View(now)
				for _, line := range strings.Split(d.Input, "\n") {
					watched = append(watched, command.Watched{
						Key: []byte(line), Watch: view.Watch([]byte(line)), Epoch: m.SlotEpoch(slot.Of([]byte(line))),
					})
				}
				view.Close()
			case "state":
				at, ok := m.NextExpiry()
				fmt.Fprintf(&out, "applied %d, clock %d, keys %d, residue [%s], next expiry %d %v\n",
					m.Applied(), m.Clock(), m.Keys(), m.Residue(), at, ok)
			case "stats":
				s := m.Stats()
				fmt.Fprintf(&out, "{Hits:%d Misses:%d Expired:%d Panics:%d Unsynced:%d}\n", s.Hits, s.Misses, s.Expired, s.Panics, s.Unsynced)
				m.ResetStats()
			case "slots":
				for n := range first(parseSlots(t, d.CmdArgs[0].Key)) {
					fmt.Fprintf(&out, "%d: %v %d", n, m.Owns(n), m.SlotEpoch(n))
					if mark, epoch := m.Marked(n); epoch != 0 {
						fmt.Fprintf(&out, ", %s %d", mark, epoch)
					}
					out.WriteByte('\n')
				}
			case "reopen":
				m = reopen(t, m, store)
			default:
				t.Fatalf("unknown directive %s", d.Cmd)
			}
			return out.String()
		})
	})
}

func mark(behind bool) string {
	if behind {
		return " [behind]"
	}
	return ""
}

// execute evaluates a transaction of reads.
func execute(t *testing.T, m *Machine, payload []byte, now int64) (v resp.Value, behind bool) {
	var r resp.Reply
	r.Init(3)
	view := &command.View{Reading: command.Reading{LocalNow: now}}
	defer view.End()
	behind = m.Exec(payload, view, &r)
	return valueOf(t, &r), behind
}

func first(s slot.Set) func(func(uint16) bool) { return s.All }

func payloadOf(t *testing.T, line string, watched []command.Watched) []byte {
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch f := strings.Fields(line); f[0] {
	case "asking":
		return append(command.AppendAsking(nil), payloadOf(t, strings.TrimPrefix(line, "asking "), watched)...)
	case "mark":
		marks := map[string]Mark{"stable": MarkStable, "migrating": MarkMigrating, "importing": MarkImporting}
		return AppendMark(nil, parseSlots(t, f[1]), marks[f[2]], number(f[3]))
	case "import":
		return AppendImport(nil, number(f[1]), parseSlots(t, f[2]))
	case "endimport":
		return AppendEndImport(nil, number(f[1]))
	case "drop":
		return AppendDrop(nil, parseSlots(t, f[1]), number(f[2]), int(number(f[3])))
	case "(":
		p := command.AppendTransaction(nil, watched)
		for _, c := range strings.Split(strings.Trim(line, "() "), ";") {
			p = append(p, payload(c)...)
		}
		return p
	case "own", "seal":
		epoch := number(f[2])
		if f[0] == "own" {
			return AppendOwn(nil, parseSlots(t, f[1]), epoch)
		}
		return AppendSeal(nil, parseSlots(t, f[1]), epoch)
	case "tick":
		return command.AppendTick(nil)
	case "sweep":
		return command.AppendSweep(nil)
	default:
		return payload(line)
	}
}

// together is a transaction's payload.
func together(lines ...string) []byte {
	p := command.AppendTransaction(nil, nil)
	for _, line := range lines {
		p = append(p, payload(line)...)
	}
	return p
}

// TestApplyRefuses: records, and the commands' names, must be understood, and
// after a refusal nothing of the entry is there.
func TestApplyRefuses(t *testing.T) {
	full := AppendOwn(nil, slot.Full(), 1)
	bad := map[string][]byte{
		"unknown command":   payload("nosuch k"),
		"local command":     payload("ping"),
		"unknown record":    {0, 9},
		"short record":      full[:len(full)-1],
		"long record":       append(bytes.Clone(full), 0),
		"backward range":    {0, 1, 5, 1, 0, 9, 0, 8},
		"slot out of range": {0, 1, 5, 1, 0, 0, 0x40, 0},

		"transaction of nothing":       command.AppendTransaction(nil, nil),
		"transaction with an unknown":  together("set k v", "nosuch k"),
		"transaction with a local":     together("ping", "set k v"),
		"transaction, cut":             together("set k v", "set k w")[:9],
		"transaction, cut in a watch":  {0, command.TransactionKind, 1, 1, 'k', 1},
		"transaction, cut at its head": {0, command.TransactionKind},
	}
	for name, b := range bad {
		m := open(t, storage.NewMemory())
		apply(t, m, 5, full)
		err := m.Apply([]Entry{entry(2, 6, payload("set k v"), b)})
		if err == nil {
			t.Errorf("%s: applied", name)
		}
		if m.Applied() != 1 || m.Keys() != 0 {
			t.Errorf("%s: applied %d, %d keys", name, m.Applied(), m.Keys())
		}
	}
}

// TestOldEntryRefused: an entry is applied once.
func TestOldEntryRefused(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 5, AppendOwn(nil, slot.Full(), 1))
	if err := m.Apply([]Entry{entry(1, 6, payload("set k v"))}); err == nil {
		t.Error("entry 1 was applied twice")
	}
}

// randomLog returns entries that touch a few keys and slots.
func randomLog(rnd *rand.Rand, n int) []Entry {
	lines := []string{
		"set %s v%d", "set %s v%d px 50", "set %s %d nx get", "incr %s", "del %s", "pexpire %s 30", "persist %s",
		"mset %[1]s a {%[1]s}x b", "expire %s 0", "getless", "flushall",
		"append %s x%d 1000", "setrange %s %d abc 1000", "setbit %s %d 1 1000", "incrbyfloat %s 0.%d", "getdel %s",
		"rename %[1]s {%[1]s}x", "copy {%[1]s}x %[1]s replace", "getex %s px 20", "msetnx %[1]s a {%[1]s}x b", "setex %s 1 %d",
		"bitfield %s set u8 %d 3 1000", "bitop xor %[1]s %[1]s {%[1]s}x",
	}
	var log []Entry
	time := int64(1000)
	for index := range n {
		e := entry(uint64(index+1), 0)
		time += int64(rnd.IntN(20)) - 5 // a leader's clock may be behind its predecessor's
		e.Time = time
		for range rnd.IntN(5) {
			key := string(rune('a' + rnd.IntN(8)))
			switch line := lines[rnd.IntN(len(lines))]; {
			case rnd.IntN(6) == 0:
				e.Commands = append(e.Commands, randomTransaction(rnd, key, uint64(index)))
			case rnd.IntN(8) == 0:
				e.Commands = append(e.Commands, randomMove(rnd, key, uint64(index)))
			case line == "getless":
				var s slot.Set
				s.Add(slot.Of([]byte(key)))
				epoch := uint64(rnd.IntN(index + 2))
				if rnd.IntN(3) == 0 {
					e.Commands = append(e.Commands, AppendSeal(nil, s, epoch))
				} else {
					e.Commands = append(e.Commands, AppendOwn(nil, s, epoch))
				}
			case line == "flushall":
				if rnd.IntN(10) == 0 {
					e.Commands = append(e.Commands, payload(line))
				} else {
					e.Commands = append(e.Commands, command.AppendSweep(nil))
				}
			default:
				text := strings.ReplaceAll(fmt.Sprintf(line, key, rnd.IntN(9)), "%!(EXTRA", "")
				e.Commands = append(e.Commands, payload(extra.ReplaceAllString(text, "")))
			}
		}
		log = append(log, e)
	}
	return log
}

// randomMove is a payload of slots that move.
func randomMove(rnd *rand.Rand, key string, index uint64) []byte {
	s := slot.Of([]byte(key))
	slots := slot.FromRanges([]slot.Range{{Start: s, End: s}})
	job, epoch := 1+rnd.Uint64N(2), rnd.Uint64N(index+2)
	switch rnd.IntN(8) {
	case 0:
		return AppendWatch(nil, job, slots)
	case 1:
		return AppendUnwatch(nil, job)
	case 2:
		return AppendImport(nil, job, slots)
	case 3:
		return AppendEndImport(nil, job)
	case 4:
		return AppendDrop(nil, slots, epoch, 1+rnd.IntN(2))
	case 5:
		return AppendMark(nil, slots, Mark(rnd.IntN(3)), epoch)
	case 6:
		return append(command.AppendAsking(nil), payload("set "+key+" asked")...)
	default:
		return append(command.AppendAsking(nil), randomTransaction(rnd, key, index)...)
	}
}

// randomTransaction is one on a key, which may watch it.
func randomTransaction(rnd *rand.Rand, key string, index uint64) []byte {
	var watched []command.Watched
	if rnd.IntN(2) == 0 {
		w := command.Watched{Key: []byte(key), Epoch: uint64(1 + rnd.IntN(2))} // not there, or as it was of late
		if rnd.IntN(3) > 0 {
			w.Version = keyspace.Version{Index: index - min(index, uint64(rnd.IntN(5))), Op: uint32(rnd.IntN(3))}
		}
		watched = append(watched, w)
	}
	lines := []string{"set %s 1", "get %s", "incr %s", "hset %s f v", "append %s x", "pexpire %s 20", "del %s", "dbsize", "randomkey"}
	p := command.AppendTransaction(nil, watched)
	for range 1 + rnd.IntN(4) {
		p = append(p, payload(strings.ReplaceAll(lines[rnd.IntN(len(lines))], "%s", key))...)
	}
	return p
}

var extra = regexp.MustCompile(` int=\d+\)$`)

// TestDeterminism: however the log is cut into batches, and wherever the
// machine is opened again in between, replicas agree on state and replies.
func TestDeterminism(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	log := randomLog(rnd, 600)
	log[0].Commands = append([][]byte{AppendOwn(nil, slot.Full(), 1)}, log[0].Commands...)
	var wantHash [32]byte
	var wantReplies []byte
	for run := range 4 {
		store := storage.NewMemory()
		m := open(t, store)
		var replies []byte
		for at := 0; at < len(log); {
			end := min(at+1+rnd.IntN(1+run*20), len(log))
			batch := make([]Entry, 0, end-at)
			for _, e := range log[at:end] {
				e.Replies = make([]*resp.Reply, len(e.Commands))
				for i := range e.Replies {
					e.Replies[i] = new(resp.Reply)
				}
				batch = append(batch, e)
			}
			if err := m.Apply(batch); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for _, e := range batch {
				for _, r := range e.Replies {
					replies = append(replies, r.Bytes()...)
				}
			}
			at = end
			if rnd.IntN(10) == 0 {
				m = reopen(t, m, store)
			}
		}
		hash, err := m.Hash()
		if err != nil {
			t.Fatal(err)
		}
		if run == 0 {
			wantHash, wantReplies = hash, replies
			continue
		}
		if hash != wantHash || !bytes.Equal(replies, wantReplies) {
			t.Fatalf("run %d differs from the first one (seed %d)", run, seed)
		}
	}
}

// TestReadsSeeNoForeignData: while a slot goes back and forth, a reader of its
// key gets the value or TRYAGAIN, never what the key looks like in between.
func TestReadsSeeNoForeignData(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1), payload("set k v"))
	table := command.NewTable(data.Commands())
	args := words("get k")
	cmd, err := table.Lookup(args)
	if err != nil {
		t.Fatal(err)
	}
	var s slot.Set
	s.Add(slot.Of([]byte("k")))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, _ := read(t, m, cmd, args, 1)
				if text := string(v.Str); text != "v" && text != string(errChanging) {
					t.Errorf("read %q", text)
					return
				}
			}
		}()
	}
	for epoch := uint64(2); epoch < 200; epoch += 2 {
		// The key goes once the slot is sealed, and comes back before it is owned.
		apply(t, m, 1, AppendSeal(nil, s, epoch), payload("flushall"))
		apply(t, m, 1, AppendOwn(nil, s, epoch+1), payload("set k v"))
	}
	close(stop)
	readers.Wait()
}

// TestReadLooksTwice: a slot that changes hands during a read spoils it, also
// if it is owned again at the end.
func TestReadLooksTwice(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	for _, owned := range []bool{false, true} {
		cmd := &command.Command{
			Name: "slow", Keys: []command.KeySpec{{Begin: 1}},
			Read: func(_ *command.View, _ *command.Args, r *resp.Reply) error {
				table := m.slots
				n := slot.Of([]byte("k"))
				table[n] = newSlotState(owned, table[n].epoch()+2)
				m.owned.publish(&table)
				r.OK()
				return nil
			},
		}
		if v, _ := read(t, m, cmd, words("slow k"), 1); string(v.Str) != string(errChanging) {
			t.Errorf("owned at the end: %v; the read answered %q", owned, v.Str)
		}
		m.owned.publish(&m.slots)
	}
}

func TestTableRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		table := new(slotTable)
		for range rnd.IntN(50) {
			start := rnd.IntN(slot.Count)
			state := newSlotState(rnd.IntN(2) == 0, rnd.Uint64N(1<<62))
			for n := start; n < min(start+rnd.IntN(300), slot.Count); n++ {
				table[n] = state
			}
		}
		got, err := decodeSlotTable(table.encode())
		if err != nil || *got != *table {
			t.Fatalf("the table did not survive: %v", err)
		}
	}
	good := new(slotTable).encode()
	for _, bad := range [][]byte{nil, {9}, good[:len(good)-1], append(bytes.Clone(good), 0), {tableFormat, 0, 0}} {
		if _, err := decodeSlotTable(bad); err == nil {
			t.Errorf("%v was read as a table", bad)
		}
	}
}

func BenchmarkApplySet(b *testing.B) {
	m := open(b, storage.NewMemory())
	apply(b, m, 1, AppendOwn(nil, slot.Full(), 1))
	const perEntry = 25
	b.ReportAllocs()
	value := strings.Repeat("x", 64)
	payloads := make([][]byte, perEntry)
	for i := range payloads {
		payloads[i] = payload(fmt.Sprintf("set key:%d %s", i, value))
	}
	e := entry(m.Applied(), 1, payloads...)
	for b.Loop() {
		e.Index++
		for _, r := range e.Replies {
			r.Init(2)
		}
		if err := m.Apply([]Entry{e}); err != nil {
			b.Fatal(err)
		}
	}
}

// A machine that goes on from another one's exported state agrees with it, in
// everything that an entry can show.
func TestExport(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1000, AppendOwn(nil, slot.FromRanges([]slot.Range{{End: slot.Count - 1}}), 3))
	for i := range 300 {
		apply(t, m, int64(1000+i), payload(fmt.Sprintf("set k%d v%d px %d", i%50, i, 10+i)), payload(fmt.Sprintf("incr n%d", i%7)))
	}
	apply(t, m, 1400, AppendSeal(nil, slot.FromRanges([]slot.Range{{Start: 7, End: 9}}), 4))
	applied, records, err := m.Export()
	if err != nil || applied != m.Applied() {
		t.Fatalf("exported %d of %d, %v", applied, m.Applied(), err)
	}
	store := storage.NewMemory()
	var b storage.Batch
	for records.Next() {
		b.Put(records.Key(), records.Value())
	}
	records.Release()
	if err := store.Write(&b); err != nil {
		t.Fatal(err)
	}
	copied := open(t, store)
	for range 2 { // as it arrived, and after further entries
		if copied.Applied() != m.Applied() || copied.Clock() != m.Clock() || copied.Keys() != m.Keys() || copied.Expiring() != m.Expiring() {
			t.Errorf("the copy is at %d/%d with %d keys, %d of them expiring", copied.Applied(), copied.Clock(), copied.Keys(), copied.Expiring())
		}
		got, err1 := copied.Hash()
		want, err2 := m.Hash()
		if err1 != nil || err2 != nil || got != want {
			t.Errorf("the hashes differ: %v, %v", err1, err2)
		}
		if copied.SlotEpoch(8) != 4 || copied.Owns(8) || !copied.Owns(10) {
			t.Error("the slot table is another one")
		}
		for _, machine := range []*Machine{m, copied} {
			apply(t, machine, 1420, payload("set k1 x keepttl"), payload("incr n3"), command.AppendSweep(nil))
		}
	}
}

// Reads of a machine that another one has replaced can be retried there.
func TestReadAfterClose(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.FromRanges([]slot.Range{{End: slot.Count - 1}}), 1), payload("set k v"))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, err := command.NewTable(data.Commands()).Lookup(words("get k"))
	if err != nil {
		t.Fatal(err)
	}
	if reply, _ := read(t, m, cmd, words("get k"), 1); !strings.HasPrefix(string(reply.Str), "TRYAGAIN") {
		t.Errorf("got %s", resp.FormatCLI(reply, true))
	}
}
