package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/slot"
)

// lostCounts is added to every counter of a MetaRaft that goes on from one member's
// state: what the lost voters may have given out beyond that state is not given out
// again.
const lostCounts = 1 << 20

// Succeed makes the state that of a MetaRaft that goes on from this member, as the
// cluster of that id, since the former one has lost its majority for good. It counts
// as the entry index. The members keep their ids; nothing that the former MetaRaft
// may have committed without this member can be taken for the new one's. It is no
// proposal: nobody can ask for it over the network. Nothing else uses the machine
// meanwhile.
func (m *Machine) Succeed(index, cluster uint64) error {
	before := m.published.Load()
	if index <= before.applied {
		return ErrOutOfOrder
	}
	d := newDraft(before.state, index, before.state.Clock)
	d.succeed(cluster)
	d.derive()
	after := published{applied: index, state: d.s}
	if err := m.write(before, &after); err != nil {
		return err
	}
	m.publish(&after)
	return nil
}

func (d *draft) succeed(cluster uint64) {
	d.s.ClusterID = cluster
	d.s.RaftID += lostCounts
	d.s.SlotEpoch += lostCounts
	d.s.Intent += lostCounts
	// A hand-over goes on: its target may have everything, and may even own the slots by
	// a change that is not known here. So they stay sealed until it says so.
	var handing slot.Set
	for _, in := range slices.Clone(d.s.Intents) {
		if in.Migration == 0 {
			d.cancelIntent(in, string(Uncertain))
		} else {
			handing.Union(&in.Slots.Set)
		}
	}
	for i := range d.s.Shards {
		d.s.Shards[i].Version += lostCounts
	}
	// Owners take their slots up again, also those that have sealed them for a change
	// that is not known here.
	owners, epoch := d.slots(), d.freshSlotEpoch()
	for n := range owners {
		if owners[n].Group != 0 && !handing.Has(uint16(n)) {
			owners[n].Epoch = epoch
		}
	}
	for i := range d.s.Marks {
		d.s.Marks[i].Epoch = epoch
	}
}
