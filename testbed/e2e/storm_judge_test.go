package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// What a history of concurrent commands proves:
//
//   - About contended slots, everything: adding, deleting and reading a slot
//     are operations on a register, whoever sends them, and the whole history
//     has to be explained by one order of them. An addition that was answered OK
//     found the slot free, one that was answered "busy" found it owned.
//   - About nodes that come and go, what no other command can have undone. A
//     command counts as possibly carried out if it was answered OK or its outcome
//     is unknown (then it may happen at any later time); never if it was refused.
//     What was answered OK has to show at the end unless a command that undoes
//     it, and is not certainly earlier, was possibly carried out. What shows at
//     the end has to be the work of a command that was possibly carried out.

// Owners of a contended slot other than a stayer.
const (
	nobody   = -1
	somebody = -2 // who never got it
)

// slotOp is a command as one contended slot sees it.
type slotOp struct {
	slot int
	verb string // addslots, delslots, read
	node int    // that adds, or that was read
	// known: it was answered OK. If not, it may or may not have happened.
	known bool
	// found says that a refusal found the slot owned (or, of delslots, free).
	found bool
}

// ownership is the model of one contended slot: a register that holds its owner.
var ownership = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, contended)
		for _, o := range history {
			slot := o.Input.(slotOp).slot
			parts[slot] = append(parts[slot], o)
		}
		return parts
	},
	Init: func() []any { return []any{nobody} },
	Step: func(state, input, _ any) []any {
		owner, op := state.(int), input.(slotOp)
		possible := func(ok bool, next int) []any {
			switch {
			case op.found && ok: // refused, for the state that it claims
				return nil
			case op.found:
				return []any{owner}
			case op.known && !ok:
				return nil
			case op.known || next == owner:
				return []any{next}
			case ok:
				return []any{owner, next}
			}
			return []any{owner}
		}
		switch op.verb {
		case "addslots":
			return possible(owner == nobody, op.node)
		case "delslots":
			return possible(owner != nobody, nobody)
		}
		return possible(owner == op.node, owner)
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}).ToModel()

// contendedHistory is the history as the contended slots see it.
func contendedHistory(history []command) []porcupine.Operation {
	var ops []porcupine.Operation
	for _, c := range history {
		add := func(op slotOp) {
			end := int64(c.end)
			if c.outcome == unknown {
				end = open
			}
			ops = append(ops, porcupine.Operation{ClientId: c.client, Input: op, Call: int64(c.call), Return: end})
		}
		for slot, owner := range c.seen {
			add(slotOp{slot: slot, verb: "read", node: owner, known: true})
		}
		for _, slot := range c.slots {
			if slot >= contended {
				continue
			}
			op := slotOp{slot: slot, verb: c.verb, node: c.node, known: c.outcome == done}
			if c.outcome == refused {
				op.found = c.reply == fmt.Sprintf("ERR Slot %d is already busy", slot) ||
					c.reply == fmt.Sprintf("ERR Slot %d is already unassigned", slot)
				if !op.found {
					continue // it says nothing about this slot
				}
			}
			add(op)
		}
	}
	return ops
}

// observe adds what the maps at the end show to the history.
func (s *storm) observe(maps []*clusterMap) {
	now := time.Since(s.start)
	for i := range stayers {
		s.record(command{client: 40, node: i, verb: "read", call: now, end: time.Since(s.start), seen: s.contendedOwners(maps[i])})
	}
}

// judge reports everything in which the history and the maps before and after
// contradict each other.
func (s *storm) judge(before *clusterMap, after []*clusterMap) {
	s.t.Helper()
	if result := porcupine.CheckOperationsTimeout(ownership, contendedHistory(s.history), deadline); result != porcupine.Ok {
		s.t.Errorf("what was answered about the contended slots is not explained by any order: %v", result)
	}
	j := &judgement{history: s.history, before: before, after: after, alone: s.leftAlone()}
	for _, violation := range j.violations() {
		s.t.Error(violation)
	}
}

// leftAlone returns the nodes that a RESET took out of a cluster which could not
// let them go in time: it keeps them as members that have failed.
func (s *storm) leftAlone() map[int]bool {
	alone := make(map[int]bool)
	for x := stayers; x < stormNodes; x++ {
		log, err := os.ReadFile(filepath.Join(s.nodes[x].dir, "log"))
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(string(log), "the node leaves alone") {
			alone[x] = true
			s.t.Logf("node %d left its cluster alone", x)
		}
	}
	return alone
}

// judgement is everything that is known when a storm is over.
type judgement struct {
	history []command
	before  *clusterMap   // of all
	after   []*clusterMap // by node
	alone   map[int]bool
}

// possible reports whether the command may have been carried out.
func (c command) possible() bool { return c.outcome != refused }

// after reports whether the command may have been carried out when, or after,
// the other one was sent.
func (c command) after(other command) bool {
	return c.possible() && (c.outcome == unknown || c.end >= other.call)
}

// any reports whether the history has such a command.
func (j *judgement) any(cond func(c command) bool) bool { return slices.ContainsFunc(j.history, cond) }

func (j *judgement) id(node int) string { return j.after[node].self }

// kin returns x and the nodes that may have shared a shard with it: these may
// have become the masters of its slots.
func (j *judgement) kin(x int) map[int]bool {
	kin := map[int]bool{x: true}
	for grown := true; grown; {
		before := len(kin)
		for _, c := range j.history {
			if c.verb == "replicate" && c.possible() && (kin[c.subject] || kin[c.object]) {
				kin[c.subject], kin[c.object] = true, true
			}
		}
		grown = len(kin) > before
	}
	return kin
}

// leaves reports whether the command takes one of the nodes out of its cluster.
func (c command) leaves(nodes map[int]bool) bool {
	return (c.verb == "reset" || c.verb == "forget") && nodes[c.subject]
}

// takes reports whether the command takes the slot, which only x adds, from
// whoever owns it.
func (c command) takes(slot int, kin map[int]bool) bool {
	return c.verb == "delslots" && slices.Contains(c.slots, slot) || c.verb == "flushslots" && kin[c.subject] || c.leaves(kin)
}

func (j *judgement) violations() (all []string) {
	for x := stayers; x < stormNodes; x++ {
		all = slices.Concat(all, j.slotViolations(x), j.memberViolations(x), j.replicaViolations(x))
	}
	return slices.Concat(all, j.meetViolations(), j.fixedViolations())
}

// slotViolations is about the slots that only x adds.
func (j *judgement) slotViolations(x int) (all []string) {
	kin := j.kin(x)
	for slot := privateSlot(x, 0); slot < privateSlot(x, private); slot++ {
		owned := false
		for i, m := range j.after {
			owner, ok := m.owner[slot]
			owned = owned || ok
			mayOwn := func(k int) bool { return kin[k] && m.shardOf(j.id(k)) == owner }
			if ok && !slices.ContainsFunc(slices.Collect(maps.Keys(kin)), mayOwn) && len(j.alone) == 0 {
				all = append(all, fmt.Sprintf("node %d sees slot %d at %s, which never asked for it", i, slot, owner))
			}
		}
		var last *command // an addition that nothing can have undone
		for i, c := range j.history {
			if c.verb != "addslots" || !slices.Contains(c.slots, slot) || c.outcome != done {
				continue
			}
			if !j.any(func(r command) bool { return r.after(c) && r.takes(slot, kin) }) {
				last = &j.history[i]
			}
		}
		if _, there := j.after[x].owner[slot]; last != nil && !there {
			all = append(all, fmt.Sprintf("slot %d is unassigned, but was added and never taken away: %v", slot, *last))
		}
		if owned && !j.any(func(c command) bool {
			return c.verb == "addslots" && slices.Contains(c.slots, slot) && c.possible()
		}) {
			all = append(all, fmt.Sprintf("slot %d is owned, but every addition was refused", slot))
		}
		all = append(all, j.taken(x, slot, owned, kin)...)
	}
	return all
}

// taken: a slot that was taken away and not added again is free.
func (j *judgement) taken(x, slot int, owned bool, kin map[int]bool) (all []string) {
	if !owned || len(j.alone) > 0 {
		return nil
	}
	for _, c := range j.history {
		// Of a shard with other data members, leaving takes nothing.
		alone := len(kin) == 1 && c.subject == x
		takes := c.verb == "delslots" && slices.Contains(c.slots, slot) || alone && (c.verb == "flushslots" || c.verb == "reset")
		if takes && c.outcome == done && !j.any(func(a command) bool {
			return a.verb == "addslots" && slices.Contains(a.slots, slot) && a.after(c)
		}) {
			all = append(all, fmt.Sprintf("slot %d is owned, but was taken away and never added again: %v", slot, c))
		}
	}
	return all
}

// memberViolations is about x being in the stayers' cluster, and about its id.
func (j *judgement) memberViolations(x int) (all []string) {
	home := j.after[0]
	in := home.has(j.id(x))
	if !in && !j.any(func(c command) bool { return c.possible() && c.leaves(map[int]bool{x: true}) }) {
		all = append(all, fmt.Sprintf("node %d is no member any more, and nobody removed it", x))
	}
	if !j.before.has(j.id(x)) && !j.any(func(c command) bool { return c.verb == "reset" && c.subject == x && c.hard && c.possible() }) {
		all = append(all, fmt.Sprintf("node %d has another id, and nobody gave it one", x))
	}
	comesBack := func(m command) bool {
		// A MEET of two nodes that come and go may make an island with x in it
		// that another MEET brings home.
		return m.verb == "meet" && (m.subject == x || m.object == x || m.subject >= stayers && m.object >= stayers)
	}
	for _, c := range j.history {
		if c.subject != x || c.outcome != done || j.any(func(m command) bool { return comesBack(m) && m.after(c) }) {
			continue
		}
		switch {
		case c.verb == "reset" && in && !j.alone[x]:
			all = append(all, fmt.Sprintf("node %d is a member, but left and was never met again: %v", x, c))
		case c.verb == "reset" && c.hard && j.before.has(j.id(x)):
			all = append(all, fmt.Sprintf("node %d has its old id: %v", x, c))
		case c.verb == "forget" && c.node < stayers && home.has(c.id):
			all = append(all, fmt.Sprintf("node %d is a member, but was forgotten and never met again: %v", x, c))
		}
	}
	return all
}

// ghosts: whoever is no node any more is no member either.
func (j *judgement) ghosts() (all []string) {
	current := make(map[string]bool)
	for i := range j.after {
		current[j.id(i)] = true
	}
	for id := range j.after[0].lines {
		if !current[id] && len(j.alone) == 0 {
			all = append(all, fmt.Sprintf("%s is a member, but no node has this id", id))
		}
	}
	return all
}

// meetViolations: who met are together unless one of them left.
func (j *judgement) meetViolations() (all []string) {
	for _, c := range j.history {
		if c.verb != "meet" || c.outcome != done {
			continue
		}
		both := map[int]bool{c.subject: true, c.object: true}
		if j.any(func(r command) bool { return r.after(c) && r.leaves(both) }) {
			continue
		}
		if a, b := j.after[c.subject], j.after[c.object]; !a.has(b.self) || !b.has(a.self) {
			all = append(all, fmt.Sprintf("nodes %d and %d met, and neither left, but they are not together: %v", c.subject, c.object, c))
		}
	}
	return append(all, j.ghosts()...)
}

// replicaViolations is about x following another node.
func (j *judgement) replicaViolations(x int) (all []string) {
	m := j.after[x]
	if l := m.lines[m.self]; l.replica() && len(j.kin(x)) == 1 {
		all = append(all, fmt.Sprintf("node %d is a replica, and nobody made it one", x))
	}
	for _, c := range j.history {
		if c.verb != "replicate" || c.subject != x || c.outcome != done {
			continue
		}
		both := map[int]bool{x: true, c.object: true}
		if j.any(func(r command) bool {
			return r.after(c) && (r.leaves(both) || r.verb == "replicate" && both[r.subject] && r.call != c.call)
		}) {
			continue
		}
		if m.shardOf(m.self) != m.shardOf(c.id) {
			all = append(all, fmt.Sprintf("node %d follows %s now: %v", x, m.shardOf(m.self), c))
		}
	}
	return all
}

// fixedViolations: the stayers' own slots stay where they are.
func (j *judgement) fixedViolations() (all []string) {
	for i := range stayers {
		for slot := fixedSlot(i); slot < fixedSlot(i)+fixed; slot++ {
			for node, m := range j.after[:stayers] {
				if m.owner[slot] != m.shardOf(j.id(i)) {
					return append(all, fmt.Sprintf("node %d sees slot %d at %q, it is node %d's", node, slot, m.owner[slot], i))
				}
			}
		}
	}
	return all
}

// The judge of contended slots itself finds what it is there for.
func TestStormJudge(t *testing.T) {
	// Commands follow each other unless they are said to be at the same time.
	type step struct {
		slotOp
		together bool // with the one before
	}
	done := func(verb string, node int) step { return step{slotOp: slotOp{verb: verb, node: node, known: true}} }
	refused := func(verb string, node int) step {
		return step{slotOp: slotOp{verb: verb, node: node, known: true, found: true}}
	}
	unknown := func(verb string, node int) step { return step{slotOp: slotOp{verb: verb, node: node}} }
	together := func(s step) step { s.together = true; return s }
	for _, c := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"one owner", []step{done("addslots", 0), done("read", 0)}, true},
		{"two owners", []step{done("addslots", 0), done("addslots", 1)}, false},
		{"two owners at once", []step{done("addslots", 0), together(done("addslots", 1))}, false},
		{"one after the other", []step{done("addslots", 0), done("delslots", 1), done("addslots", 1), done("read", 1)}, true},
		{"busy", []step{done("addslots", 0), refused("addslots", 1), done("read", 0)}, true},
		{"busy for no reason", []step{refused("addslots", 1)}, false},
		{"a lost addition", []step{done("addslots", 0), done("read", nobody)}, false},
		{"a refusal that happened", []step{done("addslots", 0), refused("addslots", 1), done("read", 1)}, false},
		{"unknown, and it happened", []step{unknown("addslots", 0), done("read", 0)}, true},
		{"unknown, and it did not", []step{unknown("addslots", 0), done("addslots", 1)}, true},
	} {
		var history []porcupine.Operation
		for i, s := range c.steps {
			call := int64(2 * i)
			if s.together {
				call -= 2
			}
			history = append(history, porcupine.Operation{ClientId: i, Input: s.slotOp, Call: call, Return: int64(2*i + 1)})
		}
		if got := porcupine.CheckOperations(ownership, history); got != c.want {
			t.Errorf("%s: possible = %v, want %v", c.name, got, c.want)
		}
	}
}
