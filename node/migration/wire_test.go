package migration

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
)

func FuzzDecodeRequest(f *testing.F) {
	r := Request{Shard: 1 << 60, Job: 7, At: shard.Position{Changes: true, Index: 3, Number: 4, After: []byte("k")}, MaxBytes: pieceBytes, Wait: time.Second}
	f.Add(r.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		again, err := DecodeRequest(r.Append(nil))
		if err != nil || again.Shard != r.Shard || again.Job != r.Job || again.MaxBytes != r.MaxBytes || again.Wait != r.Wait || !again.At.Equal(r.At) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	p := shard.Pulled{Piece: shard.Piece{Records: []byte("records"), Now: 5}, Next: shard.Position{Index: 9}, Rest: 3}
	f.Add(p.Append([]byte{answerPulled}))
	f.Add([]byte{answerLost})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeAnswer(b)
		if err == nil && !bytes.Equal(p.Append([]byte{answerPulled}), b) {
			t.Errorf("%q was taken for %+v", b, p)
		}
	})
}

// feeder is a source that answers one thing after the other; each next one is there after
// a signal.
type feeder struct {
	moved   chan struct{}
	answers []feed
	asked   int
}

type feed struct {
	piece shard.Pulled
	err   error
}

func (f *feeder) Pull(uint64, shard.Position, int) (shard.Pulled, error) {
	f.asked++
	a := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	return a.piece, a.err
}

func (f *feeder) Moved() (sched.Signal, func()) { return f.moved, func() {} }

// An answer waits for the watch, for something new or for the seal, but no longer than it
// was asked to.
func TestServeWaits(t *testing.T) {
	at := shard.Position{Changes: true, Index: 4}
	nothing := shard.Pulled{Next: at, End: true}
	some := shard.Pulled{Piece: shard.Piece{Records: []byte("r")}, Next: shard.Position{Changes: true, Index: 5}, End: true}
	sealed := shard.Pulled{Piece: shard.Piece{Complete: 8}, Next: at, End: true, Sealed: 8}
	cases := []struct {
		name    string
		answers []feed
		wait    time.Duration
		took    time.Duration
		asked   int
		err     error
	}{
		{"something is there", []feed{{piece: some}}, time.Second, 0, 1, nil},
		{"something comes", []feed{{piece: nothing}, {piece: nothing}, {piece: some}}, time.Second, 20 * time.Millisecond, 3, nil},
		{"the seal comes", []feed{{piece: nothing}, {piece: sealed}}, time.Second, 10 * time.Millisecond, 2, nil},
		{"the watch comes", []feed{{err: shard.ErrNotWatched}, {piece: some}}, time.Second, 10 * time.Millisecond, 2, nil},
		{"nothing comes", []feed{{piece: nothing}}, 35 * time.Millisecond, 35 * time.Millisecond, 4, nil},
		{"nothing is waited for", []feed{{piece: nothing}}, 0, 0, 1, nil},
		{"the watch does not come", []feed{{err: shard.ErrNotWatched}}, 5 * time.Millisecond, 5 * time.Millisecond, 1, ErrNotReady},
		{"too new a position", []feed{{err: shard.ErrBehind}}, 0, 0, 1, ErrNotReady},
		{"a flush", []feed{{err: shard.ErrLost}}, time.Second, 0, 1, ErrLost},
		{"a strange position", []feed{{err: shard.ErrNoPosition}}, time.Second, 0, 1, ErrRefused},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			f := &feeder{moved: make(chan struct{}, 1), answers: c.answers}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for tick := time.NewTicker(10 * time.Millisecond); ; {
					select {
					case <-tick.C:
						f.moved <- struct{}{}
					case <-ctx.Done():
						return
					}
				}
			}()
			begun := time.Now()
			answer, err := Serve(ctx, sched.System, f, Request{At: at, Wait: c.wait})
			if err != nil {
				t.Fatal(c.name, err)
			}
			if _, err := DecodeAnswer(answer); !errors.Is(err, c.err) || time.Since(begun) != c.took || f.asked != c.asked {
				t.Errorf("%s: %v after %v, asked %d times", c.name, err, time.Since(begun), f.asked)
			}
			cancel()
		})
	}
	if answer, err := Serve(t.Context(), sched.System, nil, Request{}); err != nil || !bytes.Equal(answer, []byte{answerNotReady}) {
		t.Errorf("a node without the shard answered %v, %v", answer, err)
	}
}
