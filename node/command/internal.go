package command

import (
	"strconv"

	"github.com/genuineh/aikv/node/resp"
)

// The internal commands are writes that nodes propose by themselves. Their names
// begin with a byte that keeps clients from naming them: Lookup refuses it.
const (
	tickName  = "\x00tick"
	sweepName = "\x00sweep"
)

// sweepLimit bounds the keys that one sweep deletes, and so the time that it
// holds up the commands behind it.
const sweepLimit = 1000

func internalCommands() []*Command {
	return []*Command{
		{Name: tickName, Arity: 1, Flags: FlagWrite, Write: applyTick},
		{Name: sweepName, Arity: 2, Flags: FlagWrite, Write: applySweep},
	}
}

// AppendTick appends the payload of the internal write that does nothing but
// advance the replicated clock to the entry's time.
func AppendTick(dst []byte) []byte {
	return AppendArgs(dst, [][]byte{[]byte(tickName)})
}

// AppendSweep appends the payload of the internal write that deletes some of
// the keys that have expired by the entry's time; its reply is their number.
// The limit stands in the log, so that replicas of all versions delete the same.
func AppendSweep(dst []byte) []byte {
	return AppendArgs(dst, [][]byte{[]byte(sweepName), strconv.AppendInt(nil, sweepLimit, 10)})
}

// applyTick does nothing: starting the entry has advanced the clock.
func applyTick(_ *Tx, _ *Args, r *resp.Reply) error {
	r.OK()
	return nil
}

func applySweep(tx *Tx, args *Args, r *resp.Reply) error {
	limit, err := args.IntWithin(0, 1<<30)
	if err != nil {
		return err
	}
	r.Int(int64(tx.DeleteExpired(int(limit))))
	return nil
}
