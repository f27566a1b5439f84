package keyspace

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
)

// SortedSetView reads a sorted set: members, each with a score, in the order of
// their scores, and those with the same score in the order of their bytes. The
// first one has the position 0. The zero value and one of an absent key are
// empty.
//
// Slices that are handed out are shared and must not be changed. They stay what
// they are, whatever becomes of the set.
type SortedSetView struct{ valueView }

// SortedSet returns the sorted set that key holds, and whether there is one; the
// error is ErrWrongType, of a key that holds something else.
func (v *View) SortedSet(key []byte) (SortedSetView, bool, error) {
	value, err := v.typed(key, TypeSortedSet)
	return SortedSetView{value}, value.rec != nil, err
}

// inline returns the members, none if there is no set.
func (z SortedSetView) inline() inlineSortedSet {
	if z.rec == nil {
		return inlineSortedSet{}
	}
	return parseInlineSortedSet(z.rec.body)
}

// Len returns the number of members.
func (z SortedSetView) Len() int64 {
	if b, ok := z.big(); ok {
		return b.order.Len()
	}
	in := z.inline()
	return int64(in.count)
}

// Score returns the score of a member, and whether it is one.
func (z SortedSetView) Score(member []byte) (score float64, ok bool) {
	if b, ok := z.big(); ok {
		return b.score(member)
	}
	in := z.inline()
	m := in.find(member)
	return m.score, m.ok
}

// Rank returns the position of a member, and whether it is one.
func (z SortedSetView) Rank(member []byte) (position int64, ok bool) {
	if b, ok := z.big(); ok {
		return b.rank(member)
	}
	in := z.inline()
	m := in.find(member)
	return int64(m.position), m.ok
}

// At returns the member at a position; there is none unless 0 ≤ n < Len.
func (z SortedSetView) At(n int64) (member []byte, score float64, ok bool) {
	for member, score := range z.From(n, false) {
		return member, score, true
	}
	return nil, 0, false
}

// From yields members from a position on, upwards, or with reverse downwards.
// Nothing is at a position below 0 or from Len on. The set must not be changed
// meanwhile.
func (z SortedSetView) From(position int64, reverse bool) iter.Seq2[[]byte, float64] {
	return func(yield func([]byte, float64) bool) {
		if b, ok := z.big(); ok {
			b.from(position, reverse, yield)
			return
		}
		in := z.inline()
		if position < 0 || position >= int64(in.count) {
			return
		}
		if reverse {
			in.down(int(position), yield)
			return
		}
		m := in.first()
		for ; m.ok && int64(m.position) < position; m = in.after(m) {
		}
		for ; m.ok && yield(m.member, m.score); m = in.after(m) {
		}
	}
}

// FirstByScore returns the position of the first member with a score of at least
// score, or, if exclusive, a larger one; Len if there is none.
func (z SortedSetView) FirstByScore(score float64, exclusive bool) (position int64) {
	if b, ok := z.big(); ok {
		return b.firstByScore(score, exclusive)
	}
	in := z.inline()
	m := in.first()
	for m.ok && (m.score < score || exclusive && m.score == score) {
		m = in.after(m)
	}
	return int64(m.position)
}

// FirstByMember returns the position of the first member that is not before
// member, or, if exclusive, that is behind it, in the order of bytes; Len if
// there is none. It is meant for sets in which all have the same score; in others
// the answer is a position, and no more.
func (z SortedSetView) FirstByMember(member []byte, exclusive bool) (position int64) {
	if b, ok := z.big(); ok {
		return b.firstByMember(member, exclusive)
	}
	in := z.inline()
	m := in.first()
	for m.ok {
		order := bytes.Compare(m.member, member)
		if order > 0 || order == 0 && !exclusive {
			break
		}
		m = in.after(m)
	}
	return int64(m.position)
}

// Scan calls fn for at least count members from cursor on, or as many as there
// are, and returns the cursor to go on from. Cursor 0 is the beginning, and
// returned it is the end. Every member that is there from the first call to the
// last is shown, and none twice, unless a member that Scan stopped at among many of one
// fingerprint is deleted.
func (z SortedSetView) Scan(cursor uint64, count int, fn func(member []byte, score float64)) (next uint64) {
	if b, ok := z.big(); ok {
		return b.scan(cursor, count, fn)
	}
	if cursor != 0 {
		return 0 // a small set is shown at once
	}
	for member, score := range z.From(0, false) {
		fn(member, score)
	}
	return 0
}

// SortedSet changes the sorted set of a key, which comes into being with its
// first member and goes with its last. Its methods for reading see the changes.
// It is good for as long as the key is not changed in another way.
type SortedSet struct {
	SortedSetView
	value
	seen seenMember
}

// seenMember is the member that was looked up last: commands first ask for the
// score of a member and then change it.
type seenMember struct {
	rec   *record // the state in which it was looked up; nil: none was
	size  int
	name  [largeElement]byte
	at    setMember // its place, of an inline set
	score float64
	ok    bool
}

// look looks a member up.
func (z *SortedSet) look(member []byte) *seenMember {
	seen := &z.seen
	if z.rec != nil && seen.rec == z.rec && string(seen.name[:seen.size]) == string(member) {
		return seen
	}
	seen.rec = nil
	if len(member) <= len(seen.name) {
		seen.rec, seen.size = z.rec, copy(seen.name[:], member)
	}
	if b, ok := z.big(); ok {
		seen.score, seen.ok = b.score(member)
	} else {
		in := z.inline()
		seen.at = in.find(member)
		seen.score, seen.ok = seen.at.score, seen.at.ok
	}
	return seen
}

// Score returns the score of a member, and whether it is one.
func (z *SortedSet) Score(member []byte) (score float64, ok bool) {
	seen := z.look(member)
	return seen.score, seen.ok
}

// SortedSet returns the sorted set that key holds, an empty one if the key is not
// there; the error is ErrWrongType, of a key that holds something else.
func (tx *Tx) SortedSet(key []byte) (*SortedSet, error) {
	view, value, err := tx.typed(key, TypeSortedSet)
	return &SortedSet{SortedSetView: SortedSetView{view}, value: value}, err
}

// Set gives a member a score, which is a number, and reports whether it was no
// member before. Giving it the score that it has changes nothing. There is one
// zero: -0 becomes 0.
func (z *SortedSet) Set(member []byte, score float64) (added bool) {
	if math.IsNaN(score) {
		panic("keyspace: the score of a member is no number")
	}
	if score == 0 {
		score = 0
	}
	seen := z.look(member)
	before, had := seen.score, seen.ok
	if had && before == score || !z.tx.begun() {
		return false
	}
	if !z.fits(len(member)) {
		return false
	}
	meta := z.meta()
	if !had && z.Len() == largeSortedSet || len(member) > largeElement {
		meta.Flags |= flagLarge
	}
	if meta.Flags&flagPaged == 0 && z.setInline(meta, member, score) {
		return !had
	}
	var c *sortedSetChange
	if meta.Flags&flagPaged != 0 {
		c = z.changePages()
	} else {
		c = z.movePages()
	}
	c.set(member, score, had, before)
	z.finish(c, meta)
	return !had
}

// setInline sets a member in the record, and reports whether it fits.
func (z *SortedSet) setInline(meta Meta, member []byte, score float64) bool {
	in := z.inline()
	if len(in.items)+len(member)+scoreSize > z.tx.ks.inlineLimit {
		return false
	}
	old := z.look(member).at
	if !old.ok {
		in.count++
	}
	z.tx.own.scratch = appendMember(z.tx.own.scratch[:0], member, score)
	items := in.set(old, score, member, z.tx.own.scratch)
	z.store(meta, in.count, items[:]...)
	return true
}

// Delete removes a member and reports whether it was one. The key goes with its
// last member.
func (z *SortedSet) Delete(member []byte) bool {
	position, ok := z.Rank(member)
	return ok && z.DeleteRange(position, position+1) == 1
}

// DeleteRange removes the members from the position from up to, and without, the
// position to, and returns how many.
func (z *SortedSet) DeleteRange(from, to int64) (deleted int64) {
	length := z.Len()
	from, to = max(from, 0), min(to, length)
	if from >= to || !z.tx.begun() {
		return 0
	}
	switch {
	case to-from == length:
		z.tx.remove(&z.r, z.rec)
		z.rec = nil
	case z.meta().Flags&flagPaged != 0:
		c := z.changePages()
		c.deleteRange(from, to)
		z.finish(c, z.meta())
	default:
		in := z.inline()
		before, behind := in.cut(int(from), int(to))
		z.store(z.meta(), in.count-int(to-from), before, behind)
	}
	return to - from
}

// store makes items, given in parts, the members of the set.
func (z *SortedSet) store(meta Meta, count int, items ...[]byte) {
	var head [binary.MaxVarintLen64]byte
	var parts [5][]byte
	body := append(parts[:0], binary.AppendUvarint(head[:0], uint64(count)))
	if rec := z.tx.replace(&z.r, z.rec, meta, 0, append(body, items...)...); rec != nil {
		z.rec = rec
	}
}
