package replica

import (
	"context"
	"slices"
	"sync"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// errand is something that the leader has to do for the topology: a report to MetaRaft,
// or a write to the group. What tells errands apart are the kind and, where there may
// be several, what it is about.
type errand struct {
	kind  string
	about uint64
	do    func(context.Context) error
}

// errandName is an errand without what it does.
type errandName struct {
	kind  string
	about uint64
}

// errands are those of a replica that are under way. The zero value is ready.
type errands struct {
	mu      sync.Mutex
	running map[errandName]bool
}

// begin reports whether the errand may begin: it is not under way.
func (e *errands) begin(name errandName) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[name] {
		return false
	}
	if e.running == nil {
		e.running = make(map[errandName]bool)
	}
	e.running[name] = true
	return true
}

func (e *errands) end(name errandName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, name)
}

// follow hands the view's wish to the group and, on the leader, starts what the
// view still lacks. Everything runs beside the worker and beside each other, so that
// nothing waits for another's answer; when one has ended the worker looks again.
func (r *Replica) follow(ctx context.Context, view *topology.View, s *topology.Shard) {
	if r.wished != s.Version+1 {
		r.group.SetWish(wish(view, s))
		r.wished = s.Version + 1
	}
	if !r.group.Leads() {
		r.unfinished.Store(false)
		r.handings = nil
		return
	}
	due := r.due(view, s)
	_, residue := view.Residue[s.ID] // nothing tells when its last key goes
	r.unfinished.Store(len(due) > 0 || residue)
	for _, e := range due {
		r.start(ctx, e)
	}
}

// start does an errand, unless it is under way.
func (r *Replica) start(ctx context.Context, e errand) {
	m, name := r.manager, errandName{e.kind, e.about}
	if !r.errands.begin(name) {
		return
	}
	m.work.Go(e.kind, func() {
		ctx, cancel := m.opts.Sched.WithTimeout(ctx, m.opts.ReportTimeout)
		defer cancel()
		err := e.do(ctx)
		// gofail: var stepDone struct{}
		r.errands.end(name)
		if err != nil {
			// The sweep timer tries again: at once would only spin.
			m.opts.Logger.Debug("a step towards the topology failed", "shard", r.id, "step", e.kind, "error", err)
			return
		}
		m.Wake()
	})
}

// wish is the shard's membership as its group should have it.
func wish(view *topology.View, s *topology.Shard) multiraft.Wish {
	all := raftMembers(view, s)
	return multiraft.Wish{Version: s.Version, Others: all[:len(s.Leaving)], Voters: all[len(s.Leaving):]}
}

// due returns what the leader has to do for the topology.
func (r *Replica) due(view *topology.View, s *topology.Shard) (due []errand) {
	add := func(kind string, about uint64, do func(context.Context) error) {
		if do != nil {
			due = append(due, errand{kind, about, do})
		}
	}
	news := r.reportStep(view, s)
	add("report", 0, news)
	if r.machine == nil {
		return due // it knows nothing of slots and keys
	}
	r.handingOver(view, s)
	for _, intent := range view.Intents {
		if slices.Contains(intent.Pending, s.ID) {
			add("seal", intent.ID, r.sealStep(view, s, intent))
		}
	}
	r.moveSteps(view, s, add)
	add("own", 0, r.ownStep(view, s))
	add("takeover", 0, r.takeoverStep(view, s))
	add("residue", 0, r.residueStep(view, s))
	if news == nil { // the report comes first: it may be of a voter that has left
		add("done", 0, r.doneStep(view, s))
	}
	return due
}

// sealStep gives up slots that an intent asks for, and reports it where nobody else sees
// that. Those that the shard has yet to take up come first: they may just have arrived.
func (r *Replica) sealStep(view *topology.View, s *topology.Shard, intent *topology.Intent) func(context.Context) error {
	var mine, open slot.Set
	for n := range intent.Slots.All {
		if view.Owner[n] != s {
			continue
		}
		mine.Add(n)
		switch epoch := r.machine.SlotEpoch(n); {
		case epoch < view.SlotEpoch[n]:
			return nil
		case epoch < intent.Epoch:
			open.Add(n)
		}
	}
	if open.Empty() && intent.Migration != 0 {
		return nil
	}
	return func(ctx context.Context) error {
		// gofail: var sealBegin struct{}
		if !open.Empty() {
			if err := r.write(ctx, shard.AppendSeal(nil, open, intent.Epoch)); err != nil {
				return err
			}
		}
		// gofail: var sealWritten struct{}
		if intent.Migration != 0 {
			return nil // the target finds out by pulling
		}
		left := intersection(r.machine.Residue(), mine)
		return r.manager.opts.Topology.Sealed(ctx, view.ClusterID, intent.ID, s.ID, left)
	}
}

// ownStep takes up slots that the view gives to the shard under a newer epoch.
func (r *Replica) ownStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	var epoch uint64
	var slots slot.Set
	for n := range s.Slots.All {
		have, want := r.machine.SlotEpoch(n), view.SlotEpoch[n]
		if have >= want || epoch != 0 && epoch != want {
			continue
		}
		epoch = want
		slots.Add(n)
	}
	if epoch == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		// gofail: var ownBegin struct{}
		return r.write(ctx, shard.AppendOwn(nil, slots, epoch))
	}
}

// takeoverStep says that this node leads, if MetaRaft has another master on record.
func (r *Replica) takeoverStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	_, term := r.group.Leader()
	wished := slices.ContainsFunc(s.Members, func(m topology.Member) bool { return m.RaftID == r.raftID })
	if !wished || !r.serves.Load() || term <= s.MasterTerm {
		return nil
	}
	return func(ctx context.Context) error {
		return r.manager.opts.Topology.Takeover(ctx, view.ClusterID, r.id, r.raftID, term)
	}
}

// residueStep reports slots whose last keys are gone. Whoever still believes to lead may
// not have applied the seal, nor the last keys of a slot that was open for importing: a
// write tells.
func (r *Replica) residueStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	recorded, ok := view.Residue[s.ID]
	for _, m := range view.MarksOf(s.ID) {
		recorded.Remove(m.Slot) // more keys may come, and what is logged would close it
	}
	if empty := r.emptied(recorded); !ok || empty.Empty() {
		return nil
	}
	return func(ctx context.Context) error {
		if err := r.write(ctx, shard.AppendMark(nil, r.emptied(recorded), shard.MarkStable, view.LastSlotEpoch)); err != nil {
			return err
		}
		clear := r.emptied(recorded)
		if clear.Empty() {
			return nil
		}
		return r.manager.opts.Topology.ClearResidue(ctx, view.ClusterID, s.ID, clear)
	}
}

// emptied returns those of the slots that the shard neither owns nor holds keys of.
func (r *Replica) emptied(slots slot.Set) slot.Set {
	left := r.machine.Residue()
	for n := range slots.All {
		if left.Has(n) || r.machine.Owns(n) {
			slots.Remove(n)
		}
	}
	return slots
}

// reportStep passes on what the leader knows of its members, where that is news.
func (r *Replica) reportStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	report := r.group.Report()
	if report == nil || report.Term < max(s.MasterTerm, s.ReportTerm) || !news(report, view, s) {
		return nil
	}
	return func(ctx context.Context) error {
		return r.manager.opts.Topology.Report(ctx, view.ClusterID, s.ID, r.raftID, r.reports.Add(1), report)
	}
}

// news reports whether a leader's report says anything that the topology does not
// say already.
func news(report *multiraft.Report, view *topology.View, s *topology.Shard) bool {
	held := slices.ContainsFunc(s.Members, func(m topology.Member) bool {
		node := view.Node(m.Node)
		return m.Synced && node != nil && !node.Failed
	})
	if !slices.Equal(report.Voters, s.Voters) || !slices.Equal(report.Outgoing, s.Outgoing) {
		return true
	}
	return slices.ContainsFunc(s.Members, func(m topology.Member) bool {
		return m.Synced && slices.Contains(report.Behind, m.RaftID) ||
			!m.Synced && (m.HoldsState() || !held) && slices.Contains(report.Synced, m.RaftID)
	})
}

// doneStep reports that the group has become what the view wishes, once it has.
// The group tells when that is so: there is no waiting for it here.
func (r *Replica) doneStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	report := r.group.Report()
	if len(s.Leaving) == 0 || report == nil || !report.Settled || report.WishVersion != s.Version {
		return nil
	}
	return func(ctx context.Context) error {
		return r.manager.opts.Topology.MembershipDone(ctx, view.ClusterID, s.ID, s.Version)
	}
}

// write puts one payload of the topology's own into the group's log. An error may be what
// the shard has answered.
func (r *Replica) write(ctx context.Context, payload []byte) error {
	_, err := r.ask(ctx, payload)
	return err
}

// writeCount is write for a payload that is answered with a number.
func (r *Replica) writeCount(ctx context.Context, payload []byte) (int64, error) {
	answer, err := r.ask(ctx, payload)
	return answer.Int, err
}

func (r *Replica) ask(ctx context.Context, payload []byte) (resp.Value, error) {
	reply := new(resp.Reply)
	err := multiraft.Run(ctx, r.manager.opts.Sched, &multiraft.Call{Payload: payload, Result: reply}, func(c *multiraft.Call) { r.group.Submit(c) })
	if err != nil {
		return resp.Value{}, err
	}
	answer, err := resp.Parse(reply.Bytes())
	if err == nil && answer.IsError() {
		err = resp.Error(answer.Str)
	}
	return answer, err
}

// sweep has the group delete what has expired, if it leads and something has.
func (r *Replica) sweep(ctx context.Context) {
	if r.machine == nil || !r.group.Leads() {
		return
	}
	due, ok := r.machine.NextExpiry()
	if !ok || due > r.group.Clock(r.manager.opts.Sched.Now()) || !r.sweeping.CompareAndSwap(false, true) {
		return
	}
	r.manager.work.Go("sweep", func() {
		defer r.sweeping.Store(false)
		if err := r.write(ctx, command.AppendSweep(nil)); err != nil {
			r.manager.opts.Logger.Debug("sweep failed", "shard", r.id, "error", err)
		}
	})
}

// intersection returns the slots that are in both sets.
func intersection(a, b slot.Set) (both slot.Set) {
	for n := range a.All {
		if b.Has(n) {
			both.Add(n)
		}
	}
	return both
}
