package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/snapshot"
)

// simStream carries a state from one process to another, in order; a packet that
// is lost breaks it.
type simStream struct {
	c        *simCluster
	from, to simStreamEnd
	pieces   [][]byte // that have arrived
	ended    bool     // so has the end
}

// simStreamEnd is one end of a stream and what it has been told.
type simStreamEnd struct {
	node      *simNode
	proc      *seeded.Process
	news      chan struct{}
	last      time.Time // when the last packet to it arrives
	broken    error
	confirmed bool
}

var errStreamBroken = errors.New("the stream is broken")

// tell has something happen at an end, after all that was sent there before.
func (s *simStream) tell(other, end *simStreamEnd, what func()) {
	delays := s.c.fate(other.node, end.node)
	if len(delays) == 0 {
		what = func() { end.broken = errStreamBroken }
		delays = []time.Duration{100 * time.Millisecond}
	}
	at := s.c.world.Now().Add(delays[0])
	if at.Before(end.last) {
		at = end.last
	}
	end.last = at
	s.c.world.At(at, func() {
		what()
		if !end.proc.Dead() {
			signalSim(end.news)
			end.proc.Wake()
		}
	})
}

func signalSim(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Fetch implements network.
func (l *simLink) Fetch(ctx context.Context, node uint64, request []byte) (snapshot.In, error) {
	c := l.n.c
	to := c.byAddr(l.peers[node])
	if to == nil || !to.up() {
		return nil, errors.New("connection refused")
	}
	s := &simStream{
		c:    c,
		from: simStreamEnd{node: to, proc: to.proc, news: make(chan struct{}, 1)},
		to:   simStreamEnd{node: l.n, proc: l.proc, news: make(chan struct{}, 1)},
	}
	sender, proc := to.node, to.proc
	request = bytes.Clone(request)
	s.tell(&s.to, &s.from, func() {
		proc.Go("feed", func() {
			ctx, cancel := proc.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if sched.Wait(proc, time.Time{}, sender.handler.ready, ctx.Done()) == 1 {
				return
			}
			if err := sender.sendState(ctx, request, streamOut{s}); err != nil {
				streamOut{s}.Abort(err)
			}
		})
	})
	return streamIn{s, ctx}, nil
}

// streamOut is the sender's end.
type streamOut struct{ s *simStream }

// Send implements snapshot.Out.
func (o streamOut) Send(piece []byte) error {
	s := o.s
	piece = bytes.Clone(piece)
	s.tell(&s.from, &s.to, func() { s.pieces = append(s.pieces, piece) })
	return s.from.broken
}

// Finish implements snapshot.Out.
func (o streamOut) Finish() error {
	s := o.s
	s.tell(&s.from, &s.to, func() { s.ended = true })
	deadline := s.from.proc.Now().Add(time.Second)
	for !s.from.confirmed {
		if s.from.broken != nil {
			return s.from.broken
		}
		if sched.Wait(s.from.proc, deadline, s.from.news) == sched.Timeout {
			return errStreamBroken
		}
	}
	s.c.stats.snapshots++
	return nil
}

// Abort implements snapshot.Out.
func (o streamOut) Abort(reason error) {
	s := o.s
	s.from.broken = reason
	signalSim(s.from.news)
	s.tell(&s.from, &s.to, func() { s.to.broken = reason })
}

// streamIn is the receiver's end.
type streamIn struct {
	s   *simStream
	ctx context.Context
}

// Next implements snapshot.In.
func (i streamIn) Next() ([]byte, error) {
	s := i.s
	for {
		switch {
		case len(s.pieces) > 0:
			piece := s.pieces[0]
			s.pieces = s.pieces[1:]
			return piece, nil
		case s.to.broken != nil:
			return nil, s.to.broken
		case s.ended:
			return nil, io.EOF
		}
		deadline := s.to.proc.Now().Add(500 * time.Millisecond)
		if sched.Wait(s.to.proc, deadline, s.to.news, i.ctx.Done()) != 0 {
			return nil, errStreamBroken
		}
	}
}

// Confirm implements snapshot.In.
func (i streamIn) Confirm() error {
	s := i.s
	s.tell(&s.to, &s.from, func() { s.from.confirmed = true })
	return s.to.broken
}

// Close implements snapshot.In.
func (i streamIn) Close() {
	s := i.s
	s.tell(&s.to, &s.from, func() { s.from.broken = errStreamBroken })
}
