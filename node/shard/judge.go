package shard

import (
	"bytes"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
)

// judgement says whether commands may run together, by the marks of their slots and the
// keys that are there, as Redis does before it looks at a command: of a migrating slot
// all keys must be here; of an imported one too, if there are several. A command whose
// slots have no mark costs it a look at them.
type judgement struct {
	view   *keyspace.View
	asking bool
	table  *slotTable // nil: the slots are these
	slots  []slotAt

	first          []byte // the first key that was looked at
	several        bool   // there was another one
	here, missing  bool   // some are
	leaves, enters bool   // a slot is migrating, or imported
	refused        error
}

// state returns the state of a slot.
func (j *judgement) state(s uint16) slotState {
	if j.table != nil {
		return j.table[s]
	}
	return at(j.slots, s)
}

// add takes a command into account.
func (j *judgement) add(cmd *command.Command, args [][]byte) {
	s, keyed, cross := cmd.Slot(args)
	if !keyed {
		return
	}
	state := j.state(s)
	switch {
	case cross, !state.opens(j.asking || cmd.Flags&command.FlagAsking != 0):
		j.refused = errChanging
		return
	case state.plain() || cmd.Unjudged:
		return
	case !state.owned():
		j.enters = true
	case state.mark() == MarkMigrating:
		j.leaves = true
	default:
		return
	}
	cmd.EachKey(args, func(k command.Key) bool {
		j.look(k.Name)
		return true
	})
}

func (j *judgement) look(key []byte) {
	switch {
	case j.first == nil:
		j.first = key
	case !j.several:
		j.several = !bytes.Equal(j.first, key)
	}
	if j.view.Exists(key) {
		j.here = true
	} else {
		j.missing = true
	}
}

// verdict returns why the commands must not run.
func (j *judgement) verdict() error {
	switch {
	case j.refused != nil:
		return j.refused
	case j.leaves && j.missing && j.here, j.enters && j.missing && j.several:
		return command.ErrTryAgain
	case j.leaves && j.missing:
		return command.ErrAsk
	default:
		return nil
	}
}

// mayRun returns why a command must not run at its place in the log.
func (m *Machine) mayRun(tx *command.Tx, p *parsed) error {
	s, keyed, cross := p.cmd.Slot(p.args)
	if !keyed || !cross && m.slots[s].plain() {
		return nil
	}
	j := m.judge(tx, p.asking)
	j.add(p.cmd, p.args)
	return j.verdict()
}

// judge begins to judge commands at their place in the log.
func (m *Machine) judge(tx *command.Tx, asking bool) judgement {
	return judgement{view: &tx.View, asking: asking, table: &m.slots}
}
