package keyspace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

var (
	// ErrNotWatched is the error of pulling what no job watches, or not yet.
	ErrNotWatched = errors.New("keyspace: no such job watches slots here")
	// ErrLost is the error of pulling for a job whose change log is not there any more:
	// FLUSHALL has taken it.
	ErrLost = errors.New("keyspace: the log of what has changed is lost, as the keyspace was flushed")
	// ErrBehind is the error of pulling from a state that is older than the one that
	// gave the position.
	ErrBehind = errors.New("keyspace: the state is older than the position")
	// ErrNoPosition is the error of a position that Pull has not given.
	ErrNoPosition = errors.New("keyspace: no such position")
)

// maxPassed bounds the records that one pull goes over, those that it leaves out
// included.
const maxPassed = 16 << 10

// Pull returns the records from a position on of the slots that a job watches, about as
// many as maxBytes hold and at least one, if there is one. Every state of a keyspace that
// has applied the same entries, on whichever node, goes on where another one has ended.
// Epoch, Sealed and Complete are for the caller to fill in.
func (v *View) Pull(job uint64, at Position, maxBytes int) (Pulled, error) {
	m := v.moves()
	i := m.watchOf(job)
	switch {
	case v.Err() != nil:
		return Pulled{}, v.Err()
	case i < 0:
		return Pulled{}, ErrNotWatched
	case m.watches[i].lost:
		return Pulled{}, ErrLost
	}
	applied := v.recs.Mark().Applied
	switch {
	case at.Index != 0 && at.Index <= m.watches[i].log.index():
		return Pulled{}, ErrLost // of another log
	case at.Equal(Position{}):
		at.Index = applied + 1 // what has changed by now is gone over
	case at.Index > applied+1:
		return Pulled{}, ErrBehind
	case at.Index == 0:
		return Pulled{}, ErrNoPosition
	}
	p := puller{view: v, watch: &m.watches[i], max: maxBytes, next: at}
	if !at.Changes {
		if err := p.goOver(); err != nil {
			return Pulled{}, err
		}
	}
	pulled := Pulled{Piece: Piece{Now: v.now}}
	if p.next.Changes && !p.full(nil, nil) {
		pulled.End = p.goOn()
	}
	pulled.Records, pulled.Next = p.piece, p.next
	if !pulled.End {
		pulled.Rest = p.rest()
	}
	return pulled, v.Err()
}

// puller makes a piece.
type puller struct {
	view   *View
	watch  *watching
	max    int
	piece  []byte
	passed int
	next   Position
	last   []byte // memory of next.After
}

// full reports whether a record is to be left to the next piece. A large one has a piece
// of its own.
func (p *puller) full(stored, value []byte) bool {
	const lengths = 1 + 2*binary.MaxVarintLen32
	size := len(stored) + len(value) + lengths
	return len(p.piece) > 0 && len(p.piece)+size > p.max || p.passed >= maxPassed
}

func (p *puller) add(stored, value []byte, there bool) {
	p.piece = appendPieceRecord(p.piece, stored, value, there)
}

// recordRange is the range of stored keys of a class and a run of slots.
func recordRange(class byte, r slot.Range) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint16([]byte{class}, r.Start)
	if r.End == slot.Count-1 {
		return lower, []byte{class + 1}
	}
	return lower, binary.BigEndian.AppendUint16([]byte{class}, r.End+1)
}

// goOver adds records in their order: those of keys, and then pages.
func (p *puller) goOver() error {
	after := p.next.After
	if after != nil && after[0] != classKey && after[0] != classPage {
		return ErrNoPosition
	}
	for _, class := range []byte{classKey, classPage} {
		for _, run := range p.watch.slots.Ranges() {
			lower, upper := recordRange(class, run)
			if bytes.Compare(after, upper) >= 0 {
				continue
			}
			if bytes.Compare(after, lower) >= 0 {
				lower = append(bytes.Clone(after), 0)
			}
			if !p.goOverRange(class, lower, upper) {
				return nil
			}
		}
	}
	p.next.Changes, p.next.After = true, nil
	return nil
}

// goOverRange adds the records of a range, and reports whether it came to its end.
func (p *puller) goOverRange(class byte, lower, upper []byte) bool {
	var gone *goneObjects
	if class == classPage {
		gone = p.view.goneObjects(lower, upper)
		defer gone.release()
	}
	w := p.view.recs.Walk(lower, upper)
	defer w.Release()
	for w.Next() {
		if p.full(w.Key(), w.Value()) {
			return false
		}
		p.passed++
		p.last = append(p.last[:0], w.Key()...)
		p.next.After = p.last
		if gone == nil || !gone.has(w.Key()) {
			p.add(w.Key(), w.Value(), true)
		}
	}
	return p.view.Err() == nil
}

// goneObjects knows the objects of a range of pages that are gone, and whose pages may
// be swept away at any time. It goes along with a walk over the pages, and has to begin
// before that: while pages are there, so are their remains.
type goneObjects struct {
	w     *records.Walker
	at    []byte // what the walk is at, without its class; nil: at its end
	cover []byte // the last one before, which may stand for more than one object
}

// goneObjects returns those of pages stored in [lower, upper).
func (v *View) goneObjects(lower, upper []byte) *goneObjects {
	g := new(goneObjects)
	if from := lower[1:]; len(from) > jobPrefix {
		if key := append([]byte{classRemains}, from[:jobPrefix]...); v.recs.Find(key) != nil {
			g.cover = key[1:]
		}
	}
	from := append([]byte{classRemains}, lower[1:min(len(lower), pageHeader)]...)
	g.w = v.recs.Walk(from, append([]byte{classRemains}, upper[1:]...))
	if upper[0] != classPage { // up to the last slot
		g.w.Release()
		g.w = v.recs.Walk(from, []byte{classRemains + 1})
	}
	g.advance()
	return g
}

func (g *goneObjects) advance() {
	if g.at = nil; g.w.Next() {
		g.at = bytes.Clone(g.w.Key()[1:])
	}
}

// has reports whether a page is one of an object that is gone. Pages come in order.
func (g *goneObjects) has(page []byte) bool {
	object := page[1:pageHeader]
	for g.at != nil && bytes.Compare(g.at, object) <= 0 {
		if len(g.cover) == 0 || !bytes.HasPrefix(g.at, g.cover) {
			g.cover = g.at
		}
		g.advance()
	}
	return len(g.cover) > 0 && bytes.HasPrefix(object, g.cover)
}

func (g *goneObjects) release() { g.w.Release() }

// goOn adds what the log says has changed, and reports whether that was all.
func (p *puller) goOn() (end bool) {
	prefix := p.watch.log.append(nil, byPlace)
	w := p.view.recs.Walk(appendPlace(bytes.Clone(prefix), p.next.Index, p.next.Number), p.watch.log.append(nil, byKey))
	defer w.Release()
	for w.Next() {
		place, stored := w.Key()[placeHeader:], w.Value()
		if len(place) != placeSize || len(stored) < 1+2 {
			p.view.err = fmt.Errorf("%w: a change log", storage.ErrCorrupt)
			return false
		}
		value, there := []byte(nil), true // remains may be swept already, and stay true
		if stored[0] != classRemains {
			value, there = p.view.recs.Get(stored)
		}
		if p.full(stored, value) {
			return false
		}
		p.passed++
		p.add(stored, value, there)
		p.next.Index = binary.BigEndian.Uint64(place)
		p.next.Number = binary.BigEndian.Uint32(place[8:]) + 1
	}
	return p.view.Err() == nil
}

// rest returns about how many records are left: those of keys that have not been gone
// over, or changes, but no more than it takes little time to count.
func (p *puller) rest() (n int64) {
	const most = 1 << 10
	if !p.next.Changes {
		for s := range p.watch.slots.All {
			if len(p.next.After) < 1+2 || p.next.After[0] == classKey && s > slotOfRecord(p.next.After) {
				n += p.view.ks.LenSlot(s)
			}
		}
		return n + 1
	}
	w := p.view.recs.Walk(
		appendPlace(p.watch.log.append(nil, byPlace), p.next.Index, p.next.Number), p.watch.log.append(nil, byKey))
	defer w.Release()
	for n < most && w.Next() {
		n++
	}
	return n
}
