package multiraft

import (
	"context"
	"errors"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// What a Call can end with besides success.
var (
	// ErrNotLeader: certainly not appended; this member does not lead.
	ErrNotLeader = errors.New("multiraft: not the leader")
	// ErrSuperseded: certainly not applied; another leader's entry took its place.
	ErrSuperseded = errors.New("multiraft: superseded by another leader's entry")
	// ErrNoQuorum: certainly not appended; the leader has lost its quorum.
	ErrNoQuorum = errors.New("multiraft: no quorum")
	// ErrUncertain: appended, and undecided at its deadline. It may still be
	// applied, so it must not be retried.
	ErrUncertain = errors.New("multiraft: the outcome is unknown")
	// ErrRefused: certainly not appended; it is wrapped around what
	// Machine.Check says of the payload, or ErrTooLarge.
	ErrRefused = errors.New("multiraft: refused")
	// ErrTooLarge: the payload is longer than MaxPayload.
	ErrTooLarge = errors.New("multiraft: the command is too large")
	// ErrClosed: certainly not appended; the group or the host is closing.
	ErrClosed = errors.New("multiraft: closed")
)

// MaxPayload bounds a payload, in bytes. An entry of one such payload fits into
// a frame between nodes; what is longer could be logged, but never replicated.
const MaxPayload = 120 << 20

// Call is one command on its way through a group: a write that Group.Submit
// packs into an entry, or a read that waits for Group.Barrier. The group ends
// every call, at the latest when its deadline has passed: it sets Err and
// counts Done down. Between submission and that moment the Call belongs to the
// group. A zero Call is ready; it may be reused once it has ended.
type Call struct {
	// Payload is the command, opaque to the host; empty for a barrier.
	Payload []byte
	// Result is where the state machine leaves the command's result, a pointer
	// of a type that submitter and state machine agreed on. Only valid when
	// Err is nil.
	Result any
	// Err is nil after success, or one of this package's errors.
	Err error
	// Done is told once when the call has ended; several calls may share one,
	// such as a sync.WaitGroup. It must not block.
	Done interface{ Done() }

	deadline int64 // host ticks
	weight   int   // what the machine said of the payload
}

// Run hands a call to submit, which is a method of a Group, and returns how it
// ended, or ctx's error if that ended first: then the call and what it points
// to are left to the group for good, and a write may still be applied. It sets
// the call's Done.
func Run(ctx context.Context, s sched.Sched, c *Call, submit func(*Call)) error {
	done := make(signal, 1)
	c.Done = done
	submit(c)
	if sched.Wait(s, time.Time{}, sched.Signal(done), ctx.Done()) == 1 {
		return ctx.Err()
	}
	return c.Err
}

// signal is a Call's Done for whoever waits beside others.
type signal chan struct{}

func (s signal) Done() { s <- struct{}{} }

func (c *Call) end(err error) {
	c.Err = err
	c.Done.Done()
}

func endAll(calls []*Call, err error) {
	for _, c := range calls {
		c.end(err)
	}
}
