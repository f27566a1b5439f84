package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/genuineh/aikv/testbed/limit"
)

// simMutant is a bug that somebody might make: one place of a file, replaced by
// what is in force if the variable mutant has the bug's name.
//
// finds is what the simulation says of it: TestSimulation, or the test of that name.
type simMutant struct{ name, file, old, new, finds, test string }

// staleRead is what is said of a read that is not the newest: by the checker, or, where it
// was the last look at the list that clients wait at, by what is found there then.
const staleRead = "not linearizable|the end of the list|is in the list, though"

func simMutants() []simMutant {
	return []simMutant{
		{
			"acknowledge before sync", "multiraft/persist.go",
			"\tp.batch.SetSync(sync)\n",
			"\tp.batch.SetSync(sync && mutant != \"acknowledge before sync\")\n",
			"not of one node|not linearizable|has replica", "",
		},
		{
			"read without barrier", "multiraft/submit.go",
			"\tif !g.prompt && !g.leading() {\n\t\tcall.end(ErrNotLeader)\n",
			"\tif mutant == \"read without barrier\" {\n\t\tcall.end(nil)\n\t\treturn\n\t}\n" +
				"\tif !g.prompt && !g.leading() {\n\t\tcall.end(ErrNotLeader)\n",
			staleRead, "",
		},
		{
			"read without lease", "multiraft/lease.go",
			"\tr.lease.Store(&lease{",
			"\tif mutant == \"read without lease\" {\n\t\tpromise += time.Hour\n\t}\n\tr.lease.Store(&lease{",
			staleRead, "",
		},
		{
			"keep the lease through a transfer", "multiraft/transfer.go",
			"\tg.reader.transferred = g.lead.Load().term\n\tg.reader.dropLease()\n",
			"\tif mutant != \"keep the lease through a transfer\" {\n\t\tg.reader.transferred = g.lead.Load().term\n\t\tg.reader.dropLease()\n\t}\n",
			"not linearizable", "TestSimulationTransfer",
		},
		{
			"reuse a Raft id", "metaraft/draft.go",
			"\td.s.RaftID++\n",
			"\tif mutant != \"reuse a Raft id\" || d.s.RaftID < 12 {\n\t\td.s.RaftID++\n\t}\n",
			"has replica", "",
		},
		{
			"skip a seal", "replica/follow.go",
			"\t\tif !open.Empty() {\n",
			"\t\tif !open.Empty() && mutant != \"skip a seal\" {\n",
			"is owned by the shards", "",
		},
		{
			"accept writes for any slot", "shard/judge.go",
			"\tif !keyed || !cross && m.slots[s].plain() {\n",
			"\tif !keyed || !cross && m.slots[s].plain() || mutant == \"accept writes for any slot\" {\n",
			"not linearizable", "TestSimulationMovedSlot",
		},
		{
			"do not look at what was watched", "shard/transaction.go",
			"\tcase !clean(&tx.View, &t, &j):\n",
			"\tcase !clean(&tx.View, &t, &j) && mutant != \"do not look at what was watched\":\n",
			"not linearizable", "",
		},
		{
			"run half of a transaction", "shard/transaction.go",
			"\tfor range commands {\n\t\tp, _, _ := m.nextCommand(m.words[:0], &t)",
			"\tfor i := range commands {\n\t\tif mutant == \"run half of a transaction\" && tx.Index%8 == 0 && i > 0 && i >= commands/2 {\n" +
				"\t\t\treply.Begin()\n\t\t\treply.OK()\n\t\t\tcontinue\n\t\t}\n\t\tp, _, _ := m.nextCommand(m.words[:0], &t)",
			"not linearizable", "",
		},
		{
			"act on an old view", "server/home.go",
			"\treturn r != nil && (r.machine.Applied() >= r.floor || ",
			"\treturn mutant == \"act on an old view\" || r != nil && (r.machine.Applied() >= r.floor || ",
			"has replica", "TestSimulationOldView",
		},
		{
			"let copies in", "server/holder.go",
			"\tlineage, readable := decodeLineage(from.Incarnation)\n",
			"\tif mutant == \"let copies in\" {\n\t\treturn nil\n\t}\n\tlineage, readable := decodeLineage(from.Incarnation)\n",
			"let in a copy", "",
		},
		{
			"acknowledge a superseded write", "multiraft/proposer.go",
			"\t\to.end(ErrSuperseded)\n",
			"\t\tif mutant == \"acknowledge a superseded write\" {\n" +
				"\t\t\tfor _, call := range o.calls {\n\t\t\t\tif r, ok := call.Result.(interface{ OK() }); ok {\n\t\t\t\t\tr.OK()\n\t\t\t\t}\n\t\t\t}\n" +
				"\t\t\to.end(nil)\n\t\t}\n\t\to.end(ErrSuperseded)\n",
			"not linearizable|were popped for nobody", "",
		},
		{
			"apply by the local clock", "replica/replica.go",
			"\t\te := shard.Entry{Entry: header(c), Commands: c.Payloads}\n",
			"\t\tif mutant == \"apply by the local clock\" {\n\t\t\tc.Time = m.replica.manager.opts.Sched.Now().UnixMilli()\n\t\t}\n" +
				"\t\te := shard.Entry{Entry: header(c), Commands: c.Payloads}\n",
			"has another state", "",
		},
		{
			"forget the last copy", "metaraft/guard.go",
			"\town, ok := shard.member(node)\n\tif !ok || !own.HoldsState() ||",
			"\town, ok := shard.member(node)\n\tif mutant == \"forget the last copy\" || !ok || !own.HoldsState() ||",
			"FORGET was accepted of the only whole copy", "TestSimulationForget",
		},
		{
			"forget the majority", "metaraft/guard.go",
			"\t\tcase !in:\n",
			"\t\tcase !in || mutant == \"forget the majority\":\n",
			"FORGET was accepted of voter", "TestSimulationForget",
		},
		{
			"report a member synced too early", "multiraft/report.go",
			"\t\tcase heard && !complete, pr.State ==",
			"\t\tcase mutant == \"report a member synced too early\":\n\t\t\tr.Synced = append(r.Synced, id)\n\t\tcase heard && !complete, pr.State ==",
			"counts as synced and has not received anything", "TestSimulationCopies",
		},
		{
			"give a copy up too early", "metaraft/copies.go",
			"\t\tcase m.Copy && serving >= shardCopies:\n",
			"\t\tcase m.Copy && (serving >= shardCopies || mutant == \"give a copy up too early\" && shard.data() >= shardCopies):\n",
			"the copy was given up", "TestSimulationCopies",
		},
		{
			"cut a checkpoint in two", "keyspace/records/checkpoint.go",
			"\tif err := f.inner.each(w.inner); err != nil {\n",
			"\tif mutant == \"cut a checkpoint in two\" {\n\t\tif err := tr.Commit(); err != nil {\n\t\t\treturn nil, err\n\t\t}\n" +
				"\t\tsched.Wait(m.opts.Sched, m.opts.Sched.Now().Add(50*time.Millisecond))\n" +
				"\t\tif tr, err = m.store.Begin(); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\tw.tr = tr\n\t}\n" +
				"\tif err := f.inner.each(w.inner); err != nil {\n",
			"not linearizable|has another state|were popped for nobody", "",
		},
		{
			"store an applied index one too high", "keyspace/records/checkpoint.go",
			"\t\tformat: presentFormat, applied: f.mark.Applied, ",
			"\t\tformat: presentFormat, applied: f.mark.Applied + map[bool]uint64{true: 1}[mutant == \"store an applied index one too high\"], ",
			"not linearizable|has another state|the log ends at", "",
		},
		{
			"evict a dirty record", "keyspace/records/table.go",
			"\ts.changes++\n",
			"\ts.changes++\n\tif at := int(s.changes); mutant == \"evict a dirty record\" && s.used > 1 {\n" +
				"\t\tif at &= len(s.entries) - 1; s.entries[at].rec != nil && s.entries[at].code() != codeClean {\n\t\t\ts.remove(at)\n\t\t}\n\t}\n",
			"not linearizable|has another state", "",
		},
		{
			"cut the log at what is frozen", "keyspace/records/checkpoint.go",
			"\t\tsynced = c.synced.Load()\n",
			"\t\tsynced = c.synced.Load()\n\t\tif mutant == \"cut the log at what is frozen\" {\n\t\t\tm.mu.Lock()\n\t\t\tm.freeze()\n" +
				"\t\t\tif m.pending != nil {\n\t\t\t\tdefer m.mu.Unlock()\n\t\t\t\treturn m.pending.mark.Applied, nil\n\t\t\t}\n\t\t\tm.mu.Unlock()\n\t\t}\n",
			"but the log begins behind", "",
		},
		{
			"hand slots over without a seal", "migration/copy.go",
			"\t\tat := p.at\n",
			"\t\tif mutant == \"hand slots over without a seal\" && piece.End && st.mig.State == topology.Copying && j.handOver(ctx, st) == nil {\n" +
				"\t\t\tpiece.Complete = st.mig.Epoch\n\t\t}\n\t\tat := p.at\n",
			"not linearizable|is owned by the shards", "TestSimulationMigration",
		},
		{
			"forget what changes in slots that move", "keyspace/changes.go",
			"\tif len(w.touched) == 0 {\n",
			"\tif len(w.touched) == 0 || mutant == \"forget what changes in slots that move\" {\n",
			"not linearizable", "TestSimulationMigration",
		},
		{
			"complete a migration without the last piece", "migration/copy.go",
			"\t// gofail: var handOverBegun struct{}\n",
			"\tif mutant == \"complete a migration without the last piece\" {\n" +
				"\t\t_ = o.Topology.CompleteMigration(ctx, st.view.ClusterID, j.id, epoch, 0)\n\t}\n",
			"not linearizable|this never came", "TestSimulationMigration",
		},
		{
			"forget to wake a blocked client", "blocking/keys.go",
			"\tif !q.lane.Together {\n",
			"\tif mutant == \"forget to wake a blocked client\" {\n\t\treturn\n\t}\n\tif !q.lane.Together {\n",
			"was not woken", "",
		},
		{
			"pop for a client that is gone", "blocking/client.go",
			"\t\t\tif a.Gone() || ",
			"\t\t\tif mutant != \"pop for a client that is gone\" && a.Gone() || ",
			"were popped for nobody", "",
		},
	}
}

// mutantSeeds is how many seeds may pass before a bug must have been found.
const mutantSeeds = 600

// The simulation finds bugs: each is put in, in a test binary of its own, and
// some seed must fail.
func TestSimulationFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the package once more for each bug")
	}
	binary := buildMutants(t, simMutants())
	for _, m := range simMutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // each in one process
			ctx, cancel := context.WithTimeout(t.Context(), 5*limit.Wait())
			defer cancel()
			run := exec.CommandContext(ctx, binary, "-test.run=^"+cmp.Or(m.test, "TestSimulation")+"$", "-test.v")
			run.Env = append(os.Environ(), "AIKV_SIM_MUTANT="+m.name, "AIKV_SIM_PART=0/1", fmt.Sprint("AIKV_SIM_SEEDS=", mutantSeeds), "AIKV_SIM_TRACE=1")
			out, err := run.CombinedOutput()
			if _, failed := err.(*exec.ExitError); !failed || !strings.Contains(string(out), "--- FAIL: TestSimulation") {
				t.Fatalf("%d seeds have not found it: %v\n%s", mutantSeeds, err, out)
			}
			finding := regexp.MustCompile("(?m)^.*(" + m.finds + ").*$").Find(out)
			if finding == nil {
				t.Fatalf("it was to say %q\n%s", m.finds, out)
			}
			t.Logf("%s", finding)
		})
	}
}

// buildMutants builds this package's tests with all bugs in them, of which
// AIKV_SIM_MUTANT chooses one. The files themselves are not touched.
func buildMutants(t *testing.T, mutants []simMutant) (binary string) {
	t.Helper()
	node, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := make(map[string]string)
	texts := make(map[string]string)
	for _, m := range mutants {
		path := filepath.Join(node, m.file)
		if texts[path] == "" {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
			chooser := filepath.Join(filepath.Dir(path), "mutant.go")
			texts[chooser] = fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"AIKV_SIM_MUTANT\")\n", filepath.Base(filepath.Dir(path)))
		}
		if n := strings.Count(texts[path], m.old); n != 1 {
			t.Fatalf("%s: the place in %s is there %d times: the list of bugs has to follow the code", m.name, m.file, n)
		}
		texts[path] = strings.Replace(texts[path], m.old, m.new, 1)
	}
	for path, text := range texts {
		overlay[path] = filepath.Join(dir, fmt.Sprint(len(overlay), ".go"))
		if err := os.WriteFile(overlay[path], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o644); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "mutants.test")
	build := exec.Command("go", "test", "-c", "-overlay", file, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the bugs: %v\n%s", err, out)
	}
	return binary
}
