package command

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// internalCommands are writes that nodes propose by themselves.
func internalCommands() []*Command {
	return []*Command{
		{Name: tickName, Arity: 1, Flags: FlagWrite, Write: applyTick},
		{Name: sweepName, Arity: 2, Flags: FlagWrite, Write: applySweep},
	}
}

// applyTick does nothing: starting the entry has advanced the clock.
func applyTick(*keyspace.Tx, [][]byte) resp.Value { return resp.OK }

func applySweep(tx *keyspace.Tx, args [][]byte) resp.Value {
	limit, ok := parseInt(args[1])
	if !ok || limit < 0 {
		return errNotInteger()
	}
	return resp.Int(int64(tx.DeleteExpired(int(limit))))
}
