package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/topology"
)

// pull is a piece on its way from the source.
type pull struct {
	at     shard.Position
	begun  time.Time
	ended  chan struct{}
	cancel context.CancelFunc
	piece  shard.Pulled
	err    error
}

// pull asks the source for the piece at a position, beside whatever else goes on.
func (j *job) pull(ctx context.Context, st *state, at shard.Position) *pull {
	o := &j.m.opts
	r := Request{Shard: st.mig.From, Job: j.id, At: at, MaxBytes: pieceBytes}
	// For the seal, or the watch. Behind a hand-over that was undone a piece without records
	// is news, too.
	if st.in.Complete == 0 && (st.mig.State == topology.HandingOver || at.Equal(shard.Position{})) {
		r.Wait = min(pullWait, o.PauseLimit())
	}
	p := &pull{at: at, begun: o.Sched.Now(), ended: make(chan struct{})}
	ctx, p.cancel = o.Sched.WithTimeout(ctx, o.Timeout+r.Wait)
	j.m.work.Go("pull", func() {
		p.piece, p.err = o.Pull(ctx, st.view, r)
		close(p.ended)
	})
	return p
}

// await returns the piece.
func (p *pull) await(s sched.Sched) (shard.Pulled, error) {
	sched.Wait(s, time.Time{}, p.ended)
	p.cancel()
	return p.piece, p.err
}

// abandon ends a pull that nobody waits for.
func (p *pull) abandon(s sched.Sched) {
	p.cancel()
	sched.Wait(s, time.Time{}, p.ended)
}

// copy brings piece after piece, each asked for while the one before it is logged, and
// has MetaRaft hand the slots over when there is nothing left. It returns when another
// step is due, or after an error, and reports whether anything has come.
func (j *job) copy(ctx context.Context, st *state) (moved bool, err error) {
	s := j.m.opts.Sched
	p := j.pull(ctx, st, st.in.Position)
	defer func() { p.abandon(s) }()
	for {
		piece, err := p.await(s)
		if err != nil {
			return moved, j.pullFailed(ctx, st, err)
		}
		at := p.at
		if !piece.End {
			p = j.pull(ctx, st, piece.Next)
		}
		if err := j.take(ctx, st, at, piece); err != nil {
			return moved, err
		}
		moved = true
		now, err := j.look()
		if err != nil || now.mig.State != st.mig.State || piece.Complete != 0 {
			return true, err
		}
		*st = now
		if !piece.End {
			continue
		}
		switch {
		case st.mig.State == topology.HandingOver && j.tooLong(st):
			return true, nil
		case st.mig.State == topology.HandingOver:
			p = j.pull(ctx, st, piece.Next)
		case s.Now().Before(j.held):
			return false, nil // after a while there will be more
		default:
			if err := j.handOver(ctx, st); err != nil {
				return true, err
			}
			p = j.pull(ctx, st, piece.Next)
		}
	}
}

// take has the target log a piece. Behind one of many it leaves some time to others.
func (j *job) take(ctx context.Context, st *state, at shard.Position, piece shard.Pulled) error {
	resumed := st.in.Complete != 0 && piece.Epoch > st.in.Complete // the slots were taken up again since
	if len(piece.Records) == 0 && piece.Complete == 0 && piece.Next.Equal(at) && !resumed {
		return nil // there was nothing
	}
	o := &j.m.opts
	if !at.Changes {
		if err := o.Pace.Wait(ctx, len(piece.Records)); err != nil {
			return err
		}
	}
	ctx, cancel := j.within(ctx)
	defer cancel()
	begun := o.Sched.Now()
	// gofail: var pieceBegin struct{}
	if err := st.target.Write(ctx, shard.AppendPiece(nil, uint64(j.id), at, piece.Next, piece.Piece)); err != nil {
		return fmt.Errorf("piece at %+v: %w", at, err)
	}
	// gofail: var pieceTaken struct{}
	j.mu.Lock()
	j.show.Rest = piece.Rest
	j.mu.Unlock()
	if !at.Changes && !piece.End {
		sched.Sleep(ctx, o.Sched, o.Sched.Now().Sub(begun)/2)
	}
	return nil
}

// pullFailed decides about an error of Options.Pull.
func (j *job) pullFailed(ctx context.Context, st *state, err error) error {
	switch {
	case errors.Is(err, ErrLost):
		return j.fail(ctx, st, fmt.Sprintf("Source node %s was flushed", st.mig.Source))
	case errors.Is(err, ErrRefused):
		return j.fail(ctx, st, fmt.Sprintf("Source node %s has lost what it knew of the migration", st.mig.Source))
	}
	return err
}

// handOver has the source seal the slots. What is pulled from then on is the rest.
func (j *job) handOver(ctx context.Context, st *state) error {
	o := &j.m.opts
	j.handedOver = o.Sched.Now()
	ctx, cancel := j.within(ctx)
	defer cancel()
	// gofail: var handOverBegin struct{}
	epoch, err := o.Topology.HandOver(ctx, st.view.ClusterID, j.id)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	// gofail: var handOverBegun struct{}
	o.Logger.Info("slots are being handed over", "migration", j.id, "epoch", epoch, "bytes", st.in.Bytes)
	now, err := j.look()
	if err == nil {
		*st = now
	}
	return err
}

// tooLong reports whether clients wait for the hand-over longer than they should.
func (j *job) tooLong(st *state) bool {
	return st.mig.State == topology.HandingOver && j.m.opts.Sched.Now().Sub(j.handedOver) > j.m.opts.PauseLimit()
}

// handBack lets clients work again, until another try.
func (j *job) handBack(ctx context.Context, st *state) error {
	ctx, cancel := j.within(ctx)
	defer cancel()
	j.m.opts.Logger.Warn("a hand-over of slots takes too long, and is undone until another try", "migration", j.id, "epoch", st.mig.Epoch)
	return j.m.opts.Topology.HandBack(ctx, st.view.ClusterID, j.id, st.mig.Epoch)
}

// complete makes the slots the target's, which has everything.
func (j *job) complete(ctx context.Context, st *state) error {
	o := &j.m.opts
	ctx, cancel := j.within(ctx)
	defer cancel()
	paused := o.Sched.Now().Sub(j.handedOver)
	// gofail: var completeBegin struct{}
	if err := o.Topology.CompleteMigration(ctx, st.view.ClusterID, j.id, st.mig.Epoch, paused.Milliseconds()); err != nil {
		return fmt.Errorf("complete: %w", err)
	}
	// gofail: var completed struct{}
	done := j.progress()
	o.Logger.Info("slots were moved here", "migration", j.id, "slots", st.mig.Slots.Len(), "from", st.mig.From, "to", st.mig.To,
		"keys", done.Keys, "bytes", done.Bytes, "took", o.Sched.Now().Sub(done.Begun), "paused", paused, "retries", st.mig.Retries)
	return nil
}
