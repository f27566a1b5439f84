package replica

import (
	"context"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// follow hands the view's wish to the group and, on the leader, starts what the
// view still lacks. Slow steps run beside it, one at a time per replica; when
// one has ended the Manager looks again.
func (r *Replica) follow(ctx context.Context, view *topology.View) {
	s := view.Shard(r.id)
	if s == nil {
		return
	}
	if r.wished != s.Version+1 {
		r.group.SetWish(wish(view, s))
		r.wished = s.Version + 1
	}
	if !r.group.Leads() {
		r.unfinished.Store(false)
		return
	}
	step := r.nextStep(ctx, view, s)
	r.unfinished.Store(step != nil)
	if step == nil || !r.reporting.CompareAndSwap(false, true) {
		return
	}
	r.manager.reports.Go("report", func() {
		ctx, cancel := r.manager.opts.Sched.WithTimeout(ctx, r.manager.opts.ReportTimeout)
		defer cancel()
		err := step(ctx)
		// gofail: var stepDone struct{}
		r.reporting.Store(false)
		if err != nil {
			// The sweep timer tries again: at once would only spin.
			r.manager.opts.Logger.Debug("a step towards the topology failed", "shard", r.id, "error", err)
			return
		}
		r.manager.Wake()
	})
}

// wish is the shard's membership as its group should have it.
func wish(view *topology.View, s *topology.Shard) multiraft.Wish {
	all := raftMembers(view, s)
	return multiraft.Wish{Version: s.Version, Others: all[:len(s.Leaving)], Voters: all[len(s.Leaving):]}
}

// nextStep returns the most urgent thing that the leader has to do for the
// topology, or nil.
func (r *Replica) nextStep(ctx context.Context, view *topology.View, s *topology.Shard) func(context.Context) error {
	if r.machine == nil {
		return r.reportStep(view, s) // it knows nothing of slots and keys
	}
	if step := r.sealStep(view, s); step != nil {
		return step
	}
	if step := r.ownStep(view, s); step != nil {
		return step
	}
	_, term := r.group.Leader()
	wished := slices.ContainsFunc(s.Members, func(m topology.Member) bool { return m.RaftID == r.raftID })
	if wished && r.serves.Load() && term > s.MasterTerm {
		return func(ctx context.Context) error {
			return r.manager.opts.Topology.Takeover(ctx, view.ClusterID, r.id, r.raftID, term)
		}
	}
	if step := r.residueStep(view, s); step != nil {
		return step
	}
	if step := r.reportStep(view, s); step != nil {
		return step
	}
	return r.doneStep(view, s)
}

// sealStep gives up slots that an intent asks for and reports it.
func (r *Replica) sealStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	for _, intent := range view.Intents {
		if !slices.Contains(intent.Pending, s.ID) {
			continue
		}
		var mine, open slot.Set
		for n := range intent.Slots.All {
			if view.Owner[n] != s {
				continue
			}
			mine.Add(n)
			if r.machine.SlotEpoch(n) < intent.Epoch {
				open.Add(n)
			}
		}
		return func(ctx context.Context) error {
			// gofail: var sealBegin struct{}
			if !open.Empty() {
				if err := r.write(ctx, shard.AppendSeal(nil, open, intent.Epoch)); err != nil {
					return err
				}
			}
			// gofail: var sealWritten struct{}
			left := intersection(r.machine.Residue(), mine)
			return r.manager.opts.Topology.Sealed(ctx, view.ClusterID, intent.ID, s.ID, left)
		}
	}
	return nil
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

// residueStep reports slots whose last keys are gone.
func (r *Replica) residueStep(view *topology.View, s *topology.Shard) func(context.Context) error {
	recorded, ok := view.Residue[s.ID]
	if !ok {
		return nil
	}
	left := r.machine.Residue()
	var clear slot.Set
	for n := range recorded.All {
		// Whoever still believes to lead may not have applied the seal: then it
		// owns the slot, and its keys are no residue.
		if !left.Has(n) && r.machine.SlotEpoch(n) >= view.SlotEpoch[n] {
			clear.Add(n)
		}
	}
	if clear.Empty() {
		return nil
	}
	return func(ctx context.Context) error {
		return r.manager.opts.Topology.ClearResidue(ctx, view.ClusterID, s.ID, clear)
	}
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

// write puts one command of the topology's own into the group's log.
func (r *Replica) write(ctx context.Context, payload []byte) error {
	return multiraft.Run(ctx, r.manager.opts.Sched, &multiraft.Call{Payload: payload}, func(c *multiraft.Call) { r.group.Submit(c) })
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
	r.manager.reports.Go("sweep", func() {
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
