package shard

import (
	"errors"

	"github.com/genuineh/aikv/node/command"
)

// parsed is a payload as decode has read it: a record of this package, or a
// command.
type parsed struct {
	record *record
	cmd    *command.Command
	args   [][]byte
	asking bool // it came behind ASKING

	scratch [][]byte // decode's first argument, grown
}

// decode reads a payload. Check refuses what it cannot read before that is
// proposed, so only logs of older versions hold such payloads. Then the error
// says what apply does: errRecord and command.ErrNoCommand may be the words of a
// later version, and end the node; every other error is a reply that all replicas
// give. scratch is memory for the arguments.
func (m *Machine) decode(scratch [][]byte, payload []byte) (p parsed, err error) {
	p.scratch = scratch
	if payload, p.asking = command.CutAsking(payload); !p.asking && len(payload) > 0 && payload[0] == recordMark {
		p.record, err = decodeRecord(payload)
		return p, err
	}
	if p.scratch, err = command.DecodeArgs(scratch, payload); err != nil {
		p.scratch = scratch
		return p, errPayload
	}
	p.args = p.scratch
	p.cmd, err = m.table.Replicated(p.args)
	return p, err
}

// endsNode reports whether an error of decode means that the replica cannot go on.
func endsNode(err error) bool {
	return errors.Is(err, errRecord) || errors.Is(err, command.ErrNoCommand)
}

// Check returns why Apply could do nothing with a payload, else what it weighs. It may
// be called concurrently.
func (m *Machine) Check(payload []byte) (weighs int, err error) {
	if rest, _ := command.CutAsking(payload); command.IsTransaction(rest) {
		return m.checkTransaction(rest)
	}
	var few [16][]byte // most commands need no more
	p, err := m.decode(few[:0], payload)
	if err == nil && p.cmd != nil {
		weighs = weight(p.cmd, p.args)
	}
	return weighs, err
}
