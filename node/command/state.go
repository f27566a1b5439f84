package command

import (
	"errors"
	"math/rand/v2"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// View is what a Read handler looks at: one state of the data, which it cannot
// change, and what the reader brings with it.
//
// Reads that follow one another may look at the same state: a replica leaves it in
// the view, and End lets go of it.
type View struct {
	*keyspace.View // nil: no state has been taken
	Reading
	// Slots is the replica's note of what it owned when it took the state.
	Slots uint64
	// Owner, if set, tells which slots the replica owns, see Owns.
	Owner interface{ Owns(s uint16) bool }
	// AskedOwner is set by Owns.
	AskedOwner bool
	// Found is what the look of a command has found that may block, and Again, if not
	// nil, the whole command that looks next: it names what the present one has found,
	// such as the last id. Run forgets both.
	Found Found
	Again [][]byte
	// Idle is whether the command that Run has tried changes nothing: see Reading.Tries.
	Idle bool

	rand  Rand
	state keyspace.View // memory of View
}

// Owns reports whether the state is the one to ask for keys of a slot. What a reply
// makes of it counts only if no slot has changed hands meanwhile: whoever answers looks
// at AskedOwner.
func (v *View) Owns(s uint16) bool {
	v.AskedOwner = true
	return v.Owner == nil || v.Owner.Owns(s)
}

// Take begins to look at the newest state of a keyspace, by the reader's clock.
func (v *View) Take(ks *keyspace.Keyspace) {
	ks.ViewIn(&v.state, v.LocalNow)
	v.View = &v.state
}

// End lets go of the state, if there is one. Whoever waits for anything ends his view
// before: changes of the data are kept for it.
func (v *View) End() {
	if v.View != nil {
		v.View.Close()
		v.View = nil
	}
}

// Reading is what a read brings with it from the node that answers it.
type Reading struct {
	// LocalNow is the reader's clock in unix ms.
	LocalNow int64
	// MaxString is how long a string may be, see package function MaxString.
	MaxString int
	// Memory meters what the read holds; nil: nobody counts.
	Memory *Memory
	// Asking says that the client has sent ASKING.
	Asking bool
	// Tries says that commands are writes, of which Command.Idle is run.
	Tries bool
	// Watches is where WATCH leaves what it has seen; nil: nobody wants to know.
	Watches *[]Watched
}

// Time returns the reader's clock in unix ms. The replicated one, Now, only moves
// with the log, so times to live must not be counted by it.
func (v *View) Time() int64 { return max(v.LocalNow, v.Now()) }

// Rand returns where the read gets its randomness from.
func (v *View) Rand() *Rand {
	if v.rand == (Rand{}) {
		v.rand = Rand{state: rand.Uint64()}
	}
	return &v.rand
}

// Tx is what a Write handler works with: the data as it is at the command's place in
// the log, which it may change, and what the entry says. Everything that it offers is
// the same on all replicas.
type Tx struct {
	*keyspace.Tx
	Entry
	// Owner is View.Owner for the reads.
	Owner interface{ Owns(s uint16) bool }

	op   uint32 // of the present command in the entry
	rand Rand
	view View // lent to reads between writes
}

// Entry is what the header of a log entry says to all its commands.
type Entry struct {
	Index uint64
	Time  int64  // the proposer's clock in unix ms; Tx.Now does not go back, this may
	Seed  uint64 // of Tx.Rand
	// Level names the replicated behaviour that the commands were meant for.
	Level uint64
	// MaxString is how long a string may become by the commands, in bytes.
	MaxString int
}

// Level is the newest replicated behaviour that this program knows.
//
//	1  commands and transactions
//	2  slots that move: watches, imports, drops, marks, ASKING, the epochs of what
//	   transactions have watched
const Level = 2

// Rand returns a source of numbers that is the same on all replicas, and another one
// for each command of the log.
func (tx *Tx) Rand() *Rand {
	if tx.rand == (Rand{}) {
		tx.rand = Rand{state: mix(tx.Seed ^ mix(tx.Index) ^ mix(uint64(tx.op)<<32))}
	}
	return &tx.rand
}

// StartEntry begins the commands of the next entry.
func (tx *Tx) StartEntry(e Entry) {
	tx.Entry, tx.op = e, 0
	tx.rand = Rand{}
	tx.Tx.StartEntry(e.Index, e.Time)
}

// Run runs a command of the log at its place: the reply is written to r, whether it
// writes or reads.
func (tx *Tx) Run(args *Args, r *resp.Reply) {
	tx.op++
	tx.rand = Rand{}
	c := args.cmd
	var err error
	r.Begin()
	if c.WritesWith(args.all) {
		err = c.Write(tx, args, r)
	} else {
		tx.view = View{View: &tx.Tx.View, Reading: Reading{LocalNow: tx.Now(), MaxString: tx.MaxString}, Owner: tx.Owner, rand: *tx.Rand()}
		err = c.Read(&tx.view, args, r)
	}
	if err != nil {
		r.Fail(replyError(err))
	}
}

// Run runs a Read command, whose reply is written to r.
func (v *View) Run(args *Args, r *resp.Reply) {
	v.rand, v.Found, v.Again, v.Idle = Rand{}, Found{}, nil, false
	r.Begin()
	if v.Tries {
		v.Idle = args.cmd.Idle(v, args, r)
		return
	}
	if err := args.cmd.Read(v, args, r); err != nil {
		r.Fail(replyError(err))
	}
}

// replyError returns what a client sees of a handler's error.
func replyError(err error) error {
	if errors.Is(err, keyspace.ErrWrongType) {
		return ErrWrongType
	}
	return err
}

// ReturnsValue is Command.Returns where the reply is all that the first key holds.
func ReturnsValue(args *Args, look func() *View) int64 {
	size, _ := look().SizeOf(args.Next())
	return size
}

// RunEmpty is Run where there is no data: what writes there is FLUSHALL and its kin.
func (v *View) RunEmpty(args *Args, r *resp.Reply) {
	v.View = keyspace.Empty()
	if args.cmd.WritesWith(args.all) {
		r.Begin()
		r.OK()
		return
	}
	v.Run(args, r)
	v.End()
}

// Rand is a source of random numbers whose sequence follows from its seed, in every
// version of the program.
type Rand struct{ state uint64 }

// Uint64 returns a random number.
func (r *Rand) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Int64N returns a random number from 0 to n-1, each as likely as any other.
func (r *Rand) Int64N(n int64) int64 {
	if n <= 0 {
		panic("command: Int64N of nothing")
	}
	// Numbers at the upper end would make small results likelier.
	limit := -uint64(n) % uint64(n)
	for {
		if x := r.Uint64(); x >= limit {
			return int64(x % uint64(n))
		}
	}
}

// IntN returns a random number from 0 to n-1, each as likely as any other.
func (r *Rand) IntN(n int) int { return int(r.Int64N(int64(n))) }
