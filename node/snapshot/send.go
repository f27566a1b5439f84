package snapshot

import (
	"context"
	"errors"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
)

// Source is a state machine whose state can be copied.
type Source interface {
	// Export returns all records of the present state, in order, and its applied
	// index. The caller releases the iterator.
	Export() (applied uint64, records storage.Iterator, err error)
}

// Out takes the pieces of a stream: transport.Feed.
type Out interface {
	// Send takes a piece over. It waits for a slow receiver, but not for ever.
	Send(piece []byte) error
	// Finish says that this was all, and returns nil once the receiver goes on
	// from the state.
	Finish() error
	// Abort ends the stream, also a call that is under way.
	Abort(reason error)
}

// errStopped: the member that was being copied stops.
var errStopped = errors.New("snapshot: the member stops")

// Serve sends the state of a group's member to the member with the Raft id to,
// and returns when that goes on from it, or nothing comes of it.
func (x *Exchange) Serve(ctx context.Context, group *multiraft.Group, state Source, to uint64, out Out) error {
	sending, err := group.StartSending(ctx, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watch := sched.NewGroup(x.Sched)
	watch.Go("stream watch", func() {
		if sched.Wait(x.Sched, time.Time{}, sending.Stopped(), ctx.Done()) == 0 {
			cancel(errStopped)
			out.Abort(errStopped)
		}
	})
	err = serve(ctx, sending, state, out, x.Pace)
	cancel(nil)
	watch.Wait()
	sending.End(err == nil)
	if err == nil {
		x.sent.Add(1)
	}
	return err
}

func serve(ctx context.Context, sending *multiraft.Sending, state Source, out Out, pace *Pace) error {
	if err := send(ctx, sending.Point, state, out, pace); err != nil {
		return err
	}
	return out.Finish() // the view is released: this may take its time
}

// send sends all pieces.
func send(ctx context.Context, point func(uint64) (multiraft.Point, error), state Source, out Out, pace *Pace) error {
	applied, records, err := state.Export()
	if err != nil {
		return err
	}
	defer records.Release()
	at, err := point(applied)
	if err != nil {
		return err
	}
	s := sender{ctx: ctx, out: out, pace: pace}
	if err := s.send(multiraft.AppendPoint(s.begin(kindHead), at)); err != nil {
		return err
	}
	piece, count := s.begin(kindRecords), 0
	for records.Next() {
		key, value := records.Key(), records.Value()
		if count > 0 && len(piece)+len(key)+len(value) > pieceSize {
			if err := s.records(piece, count); err != nil {
				return err
			}
			piece, count = s.begin(kindRecords), 0
		}
		piece = appendBytes(appendBytes(piece, key), value)
		count++
	}
	if err := records.Err(); err != nil {
		return err
	}
	if err := s.records(piece, count); err != nil {
		return err
	}
	return s.send(s.total.append(s.begin(kindEnd)))
}

// sender numbers, seals and paces pieces.
type sender struct {
	ctx    context.Context
	out    Out
	pace   *Pace
	number uint32
	total  total
}

func (s *sender) begin(k kind) []byte {
	size := 64
	if k == kindRecords {
		size = pieceSize
	}
	return beginPiece(k, s.number, size)
}

func (s *sender) records(piece []byte, count int) error {
	s.total.add(piece[pieceHeader:], count)
	return s.send(piece)
}

func (s *sender) send(piece []byte) error {
	s.number++
	piece = sealPiece(piece)
	if err := s.pace.Wait(s.ctx, len(piece)); err != nil {
		return err
	}
	return s.out.Send(piece)
}
