package migration

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/topology"
)

// Request asks a member of a migration's source for a piece.
type Request struct {
	Shard    topology.GroupID
	Job      topology.MigrationID
	At       shard.Position
	MaxBytes int
	// Wait is how long the answer may take while there is nothing new: no record behind
	// At, and no seal.
	Wait time.Duration
}

// What Pull and Serve fail with, besides the errors of reaching the other node.
var (
	// ErrNotReady: the member does not watch the slots yet, or is behind the position.
	// Another one may not be, and this one may not be in a moment.
	ErrNotReady = errors.New("migration: the source's member is not there yet")
	// ErrLost: the source was flushed.
	ErrLost = errors.New("migration: the source was flushed, and with it what was watched")
	// ErrRefused: the source cannot make sense of the request.
	ErrRefused = errors.New("migration: the source knows no such position")
	// ErrMalformed is the error of bytes that are no request or answer.
	ErrMalformed = errors.New("migration: malformed request or answer")
)

// Append appends the encoding.
func (r *Request) Append(dst []byte) []byte {
	for _, n := range []uint64{uint64(r.Shard), uint64(r.Job), uint64(r.MaxBytes), uint64(r.Wait)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return r.At.Append(dst)
}

// maxWait bounds how long a request may wait.
const maxWait = 5 * time.Second

// DecodeRequest reads what Append has made; it shares its memory.
func DecodeRequest(b []byte) (r Request, err error) {
	var numbers [4]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return Request{}, ErrMalformed
		}
		numbers[i], b = n, b[size:]
	}
	at, rest, ok := keyspace.TakePosition(b)
	if !ok || len(rest) > 0 || numbers[2] > maxPiece || numbers[3] > uint64(maxWait) {
		return Request{}, ErrMalformed
	}
	return Request{
		Shard: topology.GroupID(numbers[0]), Job: topology.MigrationID(numbers[1]), At: at,
		MaxBytes: int(numbers[2]), Wait: time.Duration(numbers[3]),
	}, nil
}

// Feeder is a member of the source: its shard.Machine.
type Feeder interface {
	Pull(job uint64, at shard.Position, maxBytes int) (shard.Pulled, error)
	// Moved returns a signal that comes when something was applied after the call, and
	// what ends its use.
	Moved() (moved sched.Signal, done func())
}

// An answer begins with one of these; behind answerPulled stands a shard.Pulled.
const (
	answerPulled   = 0
	answerNotReady = 1
	answerLost     = 2
	answerRefused  = 3
)

// Serve answers a request; from is nil where the node has no data of the shard.
func Serve(ctx context.Context, s sched.Sched, from Feeder, r Request) ([]byte, error) {
	if from == nil {
		return []byte{answerNotReady}, nil
	}
	until := s.Now().Add(r.Wait)
	for {
		moved, done := from.Moved()
		p, err := from.Pull(uint64(r.Job), r.At, r.MaxBytes)
		if err == nil && len(p.Records) == 0 && p.End && p.Complete == 0 && p.Next.Equal(r.At) || notReady(err) {
			if r.Wait > 0 && s.Now().Before(until) && sched.Wait(s, until, moved, ctx.Done()) == 0 {
				done()
				continue
			}
		}
		done()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			return p.Append([]byte{answerPulled}), nil
		case notReady(err):
			return []byte{answerNotReady}, nil
		case errors.Is(err, shard.ErrLost):
			return []byte{answerLost}, nil
		case errors.Is(err, shard.ErrNoPosition):
			return []byte{answerRefused}, nil
		}
		return nil, err
	}
}

func notReady(err error) bool {
	return errors.Is(err, shard.ErrNotWatched) || errors.Is(err, shard.ErrBehind)
}

// DecodeAnswer reads what Serve has made; it shares its memory.
func DecodeAnswer(b []byte) (shard.Pulled, error) {
	if len(b) == 0 {
		return shard.Pulled{}, ErrMalformed
	}
	switch {
	case b[0] == answerPulled:
		return keyspace.DecodePulled(b[1:])
	case len(b) > 1:
		return shard.Pulled{}, ErrMalformed
	case b[0] == answerNotReady:
		return shard.Pulled{}, ErrNotReady
	case b[0] == answerLost:
		return shard.Pulled{}, ErrLost
	case b[0] == answerRefused:
		return shard.Pulled{}, ErrRefused
	}
	return shard.Pulled{}, ErrMalformed
}
