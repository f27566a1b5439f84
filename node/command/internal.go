package command

import (
	"strconv"

	"github.com/genuineh/aikv/node/resp"
)

// The internal commands are those that nodes give by themselves. Their names begin with
// a byte that keeps clients from naming them: Lookup refuses it. The families may have
// some, too.
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

// MIGRATE is the node's own: it copies keys to another server, and then deletes those
// that are still as they were copied. These are its two steps on the data, a read and a
// write.
const (
	CopyOutName = "\x00copyout"
	DropName    = "\x00drop"
)

// CopyOut returns the internal command that reads keys for MIGRATE. For each key its
// reply has null, if it is not there, or the payload of its value as DUMP returns it, its
// time to live in ms (0: for ever), and index and number of its version.
func CopyOut(names [][]byte) [][]byte { return append([][]byte{[]byte(CopyOutName)}, names...) }

// Drop returns the internal command that deletes keys if they are of the version that was
// copied: keys are the name, index and number of each. Its reply has for each of them 1,
// if the key is gone now, and 0 if it has changed since.
func Drop(keys [][]byte) [][]byte { return append([][]byte{[]byte(DropName)}, keys...) }

// DigestName names the internal read of DEBUG DIGEST-VALUE: for each key the digest of its
// value that Redis gives, as hex digits; zeros if it is not there.
const DigestName = "\x00digest"

// Digest returns that command.
func Digest(names [][]byte) [][]byte { return append([][]byte{[]byte(DigestName)}, names...) }
