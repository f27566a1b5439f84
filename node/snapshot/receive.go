package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/storage"
)

// In gives the pieces of a stream: transport.Fetch.
type In interface {
	// Next returns the next piece, io.EOF after the last one.
	Next() ([]byte, error)
	// Confirm tells the sender that the receiver goes on from the state.
	Confirm() error
	// Close ends the stream. The receiver calls it in any case.
	Close()
}

// Fetched is a state that has arrived; the stream stands until it is put to use.
type Fetched struct {
	// At is the place in the group's log that the state is of.
	At multiraft.Point

	in       In
	exchange *Exchange
}

// Use tells the sender that the member goes on from the state.
func (f *Fetched) Use() error {
	defer f.in.Close()
	f.exchange.received.Add(1)
	return f.in.Confirm()
}

// Discard tells the sender that nothing comes of it.
func (f *Fetched) Discard() { f.in.Close() }

// Fetch asks a node for its state of a group and puts it into store, which is
// empty. When it returns nil the state is durable and exactly what was sent; the
// caller calls Use or Discard. After an error the store is worth nothing.
func (x *Exchange) Fetch(ctx context.Context, node uint64, r Request, store storage.Store) (*Fetched, error) {
	in, err := x.Open(ctx, node, r.Append(nil))
	if err != nil {
		return nil, err
	}
	at, err := receive(in, store)
	if err != nil {
		in.Close()
		return nil, err
	}
	return &Fetched{At: at, in: in, exchange: x}, nil
}

// receive puts what a stream brings into an empty store.
func receive(in In, store storage.Store) (multiraft.Point, error) {
	r := receiver{store: store}
	for number := uint32(0); ; number++ {
		piece, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return multiraft.Point{}, err
		}
		k, payload, err := openPiece(piece, number)
		if err != nil {
			return multiraft.Point{}, err
		}
		if err := r.take(k, payload); err != nil {
			return multiraft.Point{}, err
		}
	}
	if !r.ended {
		return multiraft.Point{}, fmt.Errorf("%w: it has no end", ErrDamaged)
	}
	return r.at, store.Sync()
}

type receiver struct {
	store storage.Store
	batch storage.Batch
	at    multiraft.Point
	total total
	ended bool
}

// take takes in one piece's payload.
func (r *receiver) take(k kind, payload []byte) error {
	begun := r.at.Index > 0
	switch {
	case k == kindHead && !begun:
		at, ok := multiraft.DecodePoint(payload)
		if !ok {
			return fmt.Errorf("%w: malformed head", ErrDamaged)
		}
		r.at = at
		return nil
	case k == kindRecords && begun && !r.ended:
		return r.records(payload)
	case k == kindEnd && begun && !r.ended:
		if string(payload) != string(r.total.append(nil)) {
			return fmt.Errorf("%w: the records are not those that were sent", ErrDamaged)
		}
		r.ended = true
		return nil
	default:
		return fmt.Errorf("%w: a piece of kind %d in the wrong place", ErrDamaged, k)
	}
}

func (r *receiver) records(payload []byte) error {
	r.batch.Reset()
	count := 0
	for rest := payload; len(rest) > 0; count++ {
		key, after, ok := cutBytes(rest)
		if !ok {
			return fmt.Errorf("%w: malformed records", ErrDamaged)
		}
		value, after, ok := cutBytes(after)
		if !ok {
			return fmt.Errorf("%w: malformed records", ErrDamaged)
		}
		r.batch.Put(key, value)
		rest = after
	}
	r.total.add(payload, count)
	return r.store.Write(&r.batch)
}
