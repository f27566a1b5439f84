package metaraft

import (
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// StartMigration begins migrations, all or none. Node is the master that was sent the
// command: the destination of an import, the source of an export.
type StartMigration struct {
	Node topology.NodeID
	Face topology.Face
	Jobs []MigrationJob
}

// MigrationJob is one of the migrations that are to begin. Target is the destination of
// an export. NewGroup is a random id, used if the destination has no shard yet.
type MigrationJob struct {
	ID       topology.MigrationID // random, not 0
	Slots    Slots
	Target   topology.NodeID  `json:",omitempty"`
	NewGroup topology.GroupID `json:",omitempty"`
}

// Kind implements Change.
func (*StartMigration) Kind() Kind { return "start-migration" }

func (c *StartMigration) apply(d *draft) Outcome {
	if d.s.Node(c.Node) == nil {
		return unknownNode(c.Node)
	}
	var check func(*draft, *MigrationJob) (from topology.GroupID, dest topology.NodeID, refusal *Outcome)
	switch c.Face {
	case topology.Import:
		check = c.checkImport
	case topology.Export:
		check = c.checkExport
	default:
		return refuse("%q is no kind of migration", string(c.Face)[:min(len(c.Face), 32)])
	}
	if o := c.checkNode(d); o != nil {
		return *o
	}
	if len(c.Jobs) == 0 {
		return refuse("No slot ranges specified")
	}
	for i := range c.Jobs {
		job := &c.Jobs[i]
		from, dest, refusal := check(d, job)
		if refusal != nil {
			return *refusal
		}
		if o := d.startMigration(c.Face, job, from, dest); o != nil {
			return *o
		}
	}
	return Outcome{}
}

// checkNode returns why the node can take no part in a migration.
func (c *StartMigration) checkNode(d *draft) *Outcome {
	shard := d.s.ShardOf(c.Node)
	if shard == nil {
		return nil
	}
	var o Outcome
	migrating, importing := d.s.marksOf(shard.ID, topology.Migrating), d.s.marksOf(shard.ID, topology.Importing)
	switch {
	case shard.Master != c.Node && c.Face == topology.Import:
		o = refuse("slot migration not allowed on replica.")
	case shard.Master != c.Node:
		o = refuse("Slot migration can only be used on primary nodes.")
	case migrating.Empty() && importing.Empty():
		return nil
	default:
		o = c.opened(!importing.Empty())
	}
	return &o
}

// opened is the refusal of a migration where CLUSTER SETSLOT has opened slots.
func (c *StartMigration) opened(importing bool) Outcome {
	switch {
	case c.Face == topology.Import:
		return refuse("all slot states must be STABLE to start a slot migration task.")
	case importing:
		return refuse("Slots are being manually imported")
	}
	return refuse("Slots are being manually migrated")
}

// soleOwner returns the shard that owns all of a job's slots, 0 if there are none; unowned,
// with the slot's number, and several refuse it where a slot has no owner, or another one.
func (d *draft) soleOwner(job *MigrationJob, unowned, several string) (owner topology.GroupID, refusal *Outcome) {
	for n := range job.Slots.All {
		if d.s.Slots[n].Group == 0 {
			o := refuse(unowned, n)
			return 0, &o
		}
	}
	for n := range job.Slots.All {
		group := d.s.Slots[n].Group
		if owner != 0 && owner != group {
			o := refuse("%s", several)
			return 0, &o
		}
		owner = group
	}
	return owner, nil
}

// checkImport returns where the slots are that the node asks for.
func (c *StartMigration) checkImport(d *draft, job *MigrationJob) (from topology.GroupID, dest topology.NodeID, refusal *Outcome) {
	fail := func(o Outcome) (topology.GroupID, topology.NodeID, *Outcome) { return 0, 0, &o }
	if from, refusal = d.soleOwner(job, "slot has no owner: %d", "slots belong to different source nodes"); refusal != nil {
		return fail(*refusal)
	}
	own := d.s.ShardOf(c.Node)
	if own != nil && own.ID == from {
		return fail(refuse("this node is already the owner of the slot range"))
	}
	if m, n := d.s.moving(&job.Slots.Set); m != nil {
		r := rangeOf(&job.Slots.Set, n)
		return fail(refuse("overlapping import exists for slot range: %d-%d", r.Start, r.End))
	}
	for i := range d.s.Migrations {
		if m := &d.s.Migrations[i]; own != nil && m.active() && m.To == own.ID {
			return fail(refuse("another ASM task is already in progress"))
		}
	}
	return from, c.Node, nil
}

// rangeOf returns the run of slots in which n is.
func rangeOf(slots *slot.Set, n uint16) slot.Range {
	for _, r := range slots.Ranges() {
		if r.Start <= n && n <= r.End {
			return r
		}
	}
	return slot.Range{Start: n, End: n}
}

// checkExport returns the shard of the node, which is to have all of the slots.
func (c *StartMigration) checkExport(d *draft, job *MigrationJob) (from topology.GroupID, dest topology.NodeID, refusal *Outcome) {
	fail := func(o Outcome) (topology.GroupID, topology.NodeID, *Outcome) { return 0, 0, &o }
	if from, refusal = d.soleOwner(job, "Slot %d has no node served.", "Requested slots span multiple shards"); refusal != nil {
		return fail(*refusal)
	}
	own := d.s.ShardOf(c.Node)
	if own == nil || from != own.ID && from != 0 {
		return fail(refuse("Slots are not served by this node."))
	}
	switch target := d.s.ShardOf(job.Target); {
	case d.s.Node(job.Target) == nil:
		return fail(refuse("Unknown node name: %s", job.Target))
	case job.Target == c.Node:
		return fail(refuse("Target node can not be this node."))
	case target != nil && target.Master != job.Target:
		return fail(refuse("Target node is not a master"))
	}
	for i := range c.Jobs {
		if &c.Jobs[i] == job {
			break // what comes later has not begun
		}
		if _, ok := c.Jobs[i].Slots.Intersects(&job.Slots.Set); ok {
			return fail(refuse("Slot ranges in migrations overlap"))
		}
	}
	if m, n := d.s.moving(&job.Slots.Set); m != nil {
		return fail(refuse("I am already migrating slot %d.", n))
	}
	return own.ID, job.Target, nil
}

// startMigration adds a migration of slots that the shard owns, whichever face asked for
// it, unless something else goes on with these slots.
func (d *draft) startMigration(face topology.Face, job *MigrationJob, from topology.GroupID, dest topology.NodeID) *Outcome {
	fail := func(o Outcome) *Outcome { return &o }
	slots := &job.Slots.Set
	if job.ID == 0 || d.s.Migration(job.ID) != nil {
		return fail(refuse("migration id %d cannot be used", uint64(job.ID)))
	}
	if slots.Empty() {
		return fail(refuse("No slot ranges specified"))
	}
	if n, ok := d.s.inIntent(slots); ok {
		return fail(passing(refuse("Slot %d is changing hands, try again", n)))
	}
	for i := range d.s.Marks {
		if m := &d.s.Marks[i]; slots.Has(m.Slot) {
			c := StartMigration{Face: face}
			return fail(c.opened(m.Kind == topology.Importing))
		}
	}
	if n, holder, ok := d.s.residueIn(slots, 0); ok {
		return fail(refuse("Slot %d still holds keys on node %s; move or delete them first", n, d.s.Shard(holder).Master))
	}
	to, refusal := d.ensureShard(dest, job.NewGroup)
	if refusal != nil {
		return refusal
	}
	if n, ok := d.s.garbageIn(to.ID, slots); ok {
		return fail(passing(refuse("what node %s had of slot %d is still being deleted, try again", dest, n)))
	}
	d.s.Node(dest).Follows = 0
	m := Migration{
		ID: job.ID, Slots: job.Slots, From: from, To: to.ID, Source: d.s.Shard(from).Master, Dest: dest,
		Face: face, State: topology.Copying, Created: d.s.Clock, Changed: d.s.Clock,
	}
	active := 0
	for active < len(d.s.Migrations) && d.s.Migrations[active].active() {
		active++
	}
	d.s.Migrations = slices.Insert(d.s.Migrations, active, m)
	return nil
}

// HandOver makes the source of a migration, of which little is left to copy, seal the
// slots: Outcome.Epoch is the slot epoch of that. Once more answers the same.
type HandOver struct{ ID topology.MigrationID }

// Kind implements Change.
func (*HandOver) Kind() Kind { return "hand-over" }

func (c *HandOver) apply(d *draft) Outcome {
	m := d.s.Migration(c.ID)
	switch {
	case m == nil || !m.active():
		return ended(m)
	case m.State == topology.Copying:
		d.handOver(m)
	}
	return Outcome{Epoch: m.Epoch}
}

// ended is the refusal of a step of a migration that is not active, which may be nil.
func ended(m *Migration) Outcome {
	if m == nil {
		return refuse("there is no such migration")
	}
	return refuse("the migration has ended: %s", m.State)
}

// HandBack undoes the hand-over with that epoch, if it is still pending: the source takes
// the slots up again, and the migration goes on copying. Whoever sees that clients have
// waited for too long asks for it: the source's leader, or the target's.
type HandBack struct {
	ID    topology.MigrationID
	Epoch uint64
}

// Kind implements Change.
func (*HandBack) Kind() Kind { return "hand-back" }

func (c *HandBack) apply(d *draft) Outcome {
	if m := d.s.Migration(c.ID); m != nil && m.State == topology.HandingOver && m.Epoch == c.Epoch {
		d.handBack(m)
		m.Retries++
	}
	return Outcome{}
}

// CompleteMigration says that a majority of the target has everything that the source
// had of the slots when it sealed them for the hand-over with that epoch. That is the one
// commit point of a migration. Paused is for how many ms nobody could write. With Stay,
// the source stays a master when it has given its last slot away. Once more answers the
// same.
type CompleteMigration struct {
	ID     topology.MigrationID
	Epoch  uint64
	Paused int64 `json:",omitempty"`
	Stay   bool  `json:",omitempty"`
}

// Kind implements Change.
func (*CompleteMigration) Kind() Kind { return "complete-migration" }

func (c *CompleteMigration) apply(d *draft) Outcome {
	m := d.s.Migration(c.ID)
	switch {
	case m != nil && m.State == topology.Completed && m.Epoch == c.Epoch:
		return Outcome{Epoch: m.Epoch}
	case m == nil || !m.active():
		return ended(m)
	case m.State != topology.HandingOver || m.Epoch != c.Epoch:
		return refuse("the migration is not handing over with epoch %d", c.Epoch)
	}
	in := *d.intentOf(m.ID)
	from, to := m.From, m.To
	m.Paused = max(c.Paused, 0)
	d.assign(&in.Slots.Set, to, in.Epoch)
	d.endIntent(in, "")
	d.endMigration(m, topology.Completed)
	d.addGarbage(from, &in.Slots.Set, in.Epoch)
	if !c.Stay {
		d.retire(from, to)
	}
	return Outcome{Epoch: in.Epoch}
}

// EndMigration ends active migrations without effect: the one with that id, or all, as far
// as the shard of Node has the part in it that Part names. Outcome.Ended is how many.
type EndMigration struct {
	ID    topology.MigrationID    `json:",omitempty"` // 0: all
	Node  topology.NodeID         `json:",omitempty"` // 0: any
	Part  topology.Face           `json:",omitempty"` // Import: the destination's; Export: the source's; "": either
	State topology.MigrationState // Failed or Canceled
	Text  string                  `json:",omitempty"` // why
}

// Kind implements Change.
func (*EndMigration) Kind() Kind { return "end-migration" }

// maxReason bounds the reason why a migration ended, in bytes.
const maxReason = 500

func (c *EndMigration) apply(d *draft) Outcome {
	if c.State != topology.Failed && c.State != topology.Canceled {
		return refuse("a migration cannot end as %q", string(c.State)[:min(len(c.State), 32)])
	}
	var group topology.GroupID
	if c.Node != 0 {
		if d.s.Node(c.Node) == nil {
			return unknownNode(c.Node)
		}
		shard := d.s.ShardOf(c.Node)
		if shard == nil {
			return Outcome{}
		}
		group = shard.ID
	}
	var ids []topology.MigrationID
	for i := range d.s.Migrations {
		m := &d.s.Migrations[i]
		part := c.Node == 0 || c.Part != topology.Export && m.To == group || c.Part != topology.Import && m.From == group
		if m.active() && part && (c.ID == 0 || c.ID == m.ID) {
			ids = append(ids, m.ID)
		}
	}
	for _, id := range ids {
		d.abandon(id, c.State, reason(c.Text))
	}
	return Outcome{Ended: len(ids)}
}

// reason returns a reason as one line of bounded length.
func reason(text string) string {
	text = text[:min(len(text), maxReason)]
	return strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
}

// GarbageGone reports that Group has deleted what it had of Slots up to Epoch.
type GarbageGone struct {
	Group topology.GroupID
	Slots Slots
	Epoch uint64
}

// Kind implements Change.
func (*GarbageGone) Kind() Kind { return "garbage-gone" }

func (c *GarbageGone) apply(d *draft) Outcome {
	d.removeGarbage(c.Group, &c.Slots.Set, c.Epoch)
	return Outcome{}
}
