package shard

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// maxTransaction bounds what a transaction may make in memory, as weight estimates it:
// it is committed in one piece.
const maxTransaction = 1 << 30

// errTransactionTooLarge refuses a transaction that could make more.
const errTransactionTooLarge = resp.Error("ERR the transaction could make more than 1 GB of values in memory")

// survey reads all of a transaction before any of it runs, and calls each for every
// command. It returns how many there are; the errors are decode's. scratch is memory
// for the arguments, which comes back grown.
func (m *Machine) survey(scratch [][]byte, t command.Transaction, each func(cmd *command.Command, args [][]byte)) (commands int, grown [][]byte, err error) {
	if t.SkipWatched() != nil {
		return 0, scratch, errRecord
	}
	for {
		p, more, err := m.nextCommand(scratch[:0], &t)
		scratch = p.scratch
		switch {
		case err != nil:
			return 0, scratch, err
		case !more:
			return commands, scratch, nil
		}
		commands++
		each(p.cmd, p.args)
	}
}

// nextCommand reads the next command of a transaction.
func (m *Machine) nextCommand(scratch [][]byte, t *command.Transaction) (p parsed, more bool, err error) {
	if p.args, more, err = t.Command(scratch); err != nil {
		p.scratch = scratch
		return p, false, errRecord
	}
	if p.scratch = p.args; more {
		p.cmd, err = m.table.Replicated(p.args)
	}
	return p, more, err
}

// exec runs a transaction at its place in the log: all commands, one after the other,
// or none. A command that fails takes back what it did itself; the others stay, as in
// Redis.
func (m *Machine) exec(tx *command.Tx, payload []byte, asking bool, reply *resp.Reply) error {
	t, err := command.DecodeTransaction(payload)
	if err != nil {
		return errRecord
	}
	j, weighs := m.judge(tx, asking), 0
	commands, scratch, err := m.survey(m.words, t, func(cmd *command.Command, args [][]byte) {
		j.add(cmd, args)
		weighs = min(weighs+weight(cmd, args), unknownWeight)
	})
	m.words = scratch
	switch {
	case commands == 0 && err == nil:
		return errRecord
	case endsNode(err):
		return err
	case err != nil:
		reply.Fail(err)
	case j.verdict() != nil:
		reply.Fail(j.verdict())
	case !clean(&tx.View, &t, &j):
		reply.NullArray()
	default:
		m.held += weighs
		m.runAll(tx, t, commands, reply)
	}
	return nil
}

// runAll runs the commands of a transaction whose watched keys were read.
func (m *Machine) runAll(tx *command.Tx, t command.Transaction, commands int, reply *resp.Reply) {
	reply.Array(commands)
	reply.Nest()
	defer reply.Unnest()
	copied := 0
	for range commands {
		p, _, _ := m.nextCommand(m.words[:0], &t) // survey has read it
		m.words = p.scratch
		if weight(p.cmd, p.args) == unknownWeight {
			copied += sizeOf(&tx.View, p.cmd, p.args)
		}
		if copied > maxTransaction {
			reply.Begin()
			reply.Fail(errTransactionTooLarge)
			continue
		}
		m.run(tx, &p, reply)
	}
}

// sizeOf returns how much the values of a command's keys take together.
func sizeOf(v *keyspace.View, cmd *command.Command, args [][]byte) (size int) {
	cmd.EachKey(args, func(k command.Key) bool {
		n, _ := v.SizeOf(k.Name)
		size += int(n)
		return true
	})
	return size
}

// clean reports whether no key has changed that was watched, and reads over them. One
// whose slot the shard has given up since may have, also if it has come back.
func clean(v *keyspace.View, t *command.Transaction, j *judgement) bool {
	for {
		w, more, err := t.Watched()
		if !more {
			return err == nil
		}
		s := j.state(slot.Of(w.Key))
		if !s.opens(j.asking) || t.Epochs() && s.epoch() != w.Epoch || v.Watch(w.Key) != w.Watch {
			return false
		}
	}
}

// checkTransaction is Check for a transaction.
func (m *Machine) checkTransaction(payload []byte) (weighs int, err error) {
	t, err := command.DecodeTransaction(payload)
	if err != nil {
		return 0, errRecord
	}
	var few [16][]byte
	commands, _, err := m.survey(few[:0], t, func(cmd *command.Command, args [][]byte) {
		weighs = min(weighs+weight(cmd, args), unknownWeight)
	})
	switch {
	case err != nil:
	case commands == 0:
		err = errRecord
	case weighs > maxTransaction && m.makes(t) > maxTransaction:
		err = errTransactionTooLarge
	}
	return weighs, err
}

// makes returns how much a transaction may make in memory beside what it copies: of
// each key, what the command makes of it that makes most.
func (m *Machine) makes(t command.Transaction) (bytes int) {
	most := make(map[string]int)
	_, _, _ = m.survey(nil, t, func(cmd *command.Command, args [][]byte) {
		n := weight(cmd, args)
		if n > command.MaxBulkLength || len(args) < 2 {
			return // it copies, or will be refused
		}
		if key := string(args[1]); n > most[key] {
			bytes += n - most[key]
			most[key] = n
		}
	})
	return bytes
}

// Exec evaluates a transaction of Read commands in one view, as Read does one.
func (m *Machine) Exec(payload []byte, v *command.View, r *resp.Reply) (behind bool) {
	r.Begin()
	var few [16][]byte
	var several [4]slotAt
	slots := several[:0]
	payload, asking := command.CutAsking(payload)
	t, err := command.DecodeTransaction(payload)
	if err != nil {
		r.Fail(errPayload)
		return false
	}
	commands, _, err := m.survey(few[:0], t, func(cmd *command.Command, args [][]byte) {
		if s, keyed, _ := cmd.Slot(args); keyed {
			slots = addSlot(slots, s)
		}
	})
	if err != nil {
		r.Fail(err)
		return false
	}
	for rest := t; ; {
		w, more, _ := rest.Watched() // survey has read it
		if !more {
			break
		}
		slots = addSlot(slots, slot.Of(w.Key))
	}
	return m.answer(slots, v, r, func() {
		j := judgement{view: v.View, asking: asking, slots: slots}
		m.evaluateAll(t, commands, &j, v, r)
	})
}

// evaluateAll runs the reads of a transaction.
func (m *Machine) evaluateAll(t command.Transaction, commands int, j *judgement, v *command.View, r *resp.Reply) {
	var few [16][]byte
	_, _, _ = m.survey(few[:0], t, j.add) // it has been surveyed
	switch {
	case j.verdict() != nil:
		r.Fail(j.verdict())
		return
	case !clean(v.View, &t, j):
		r.NullArray()
		return
	}
	r.Array(commands)
	r.Nest()
	defer r.Unnest()
	words, args := few[:0], command.Args{}
	for range commands {
		if r.Full() {
			return
		}
		p, _, _ := m.nextCommand(words[:0], &t) // survey has read it
		words = p.scratch
		args.Set(p.cmd, p.args)
		m.evaluate(&args, v, r)
	}
}
