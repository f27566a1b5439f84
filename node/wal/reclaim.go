package wal

import (
	"fmt"
	"slices"
)

const (
	// copyStep is how many bytes of records one Write moves forward, at most
	// (but at least one record), so that reclaiming never stalls the groups.
	copyStep = 1 << 20
	// idleSegments is how many closed segments the log may keep before it
	// moves anything.
	idleSegments = 2
)

// reclaim removes segments that nothing refers to, oldest first, and moves
// entries out of the oldest one when closed segments are for the most part
// garbage. So the log's size stays within twice its live entries and a few
// segments, and what is moved is at most as much as was written.
func (l *Log) reclaim() error {
	for len(l.order) > 1 && l.order[0].entries == 0 {
		if err := l.removeOldest(); err != nil {
			return err
		}
	}
	if len(l.order)-1 <= idleSegments {
		return nil
	}
	var used, live int64
	for _, s := range l.order[:len(l.order)-1] {
		used += s.end
		live += s.bytes
	}
	if used < 2*live {
		return nil
	}
	return l.copyForward(l.order[0])
}

// removeOldest removes the oldest segment. Whatever made it needless
// (truncations, copies, the checkpoint behind it) must be durable first. One
// removal is durable before the next, so that no gap can come into being.
func (l *Log) removeOldest() error {
	if err := l.syncActive(); err != nil {
		return err
	}
	// gofail: var segmentRemove struct{}
	s := l.order[0]
	l.order = l.order[1:]
	l.mu.Lock()
	delete(l.segments, s.seq)
	l.mu.Unlock()
	l.stats.segments.Add(-1)
	l.stats.bytes.Add(-s.end)
	err := l.closeSegment(s)
	if err == nil {
		err = l.fs.Remove(s.path)
	}
	// gofail: var segmentRemoved struct{}
	if err == nil {
		err = l.fs.SyncDir(l.opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("wal: removing %s: %w", s.path, err)
	}
	return nil
}

// move is a run of a group's consecutive entries on their way out of a segment.
type move struct {
	group *GroupLog
	first uint64 // index
	refs  []ref  // where they are; then where they will be
}

// copyForward writes the next entries of the victim to the end of the log. No
// sync: the victim goes only after one.
func (l *Log) copyForward(victim *segment) error {
	moves := l.nextMoves(victim)
	e := &l.aux
	e.reset()
	source := map[uint64]*segment{victim.seq: victim}
	for _, m := range moves {
		at := e.begin(kindCopy, m.group.id)
		err := readRecords(m.group.id, m.first, m.refs, source, func(i int, rec []byte) error {
			e.raw(m.refs[i].term, rec)
			return nil
		})
		if err != nil {
			return err
		}
		e.end(at)
	}
	// append may start a segment, whose checkpoint takes the same encoder.
	l.enc, l.aux = l.aux, l.enc
	s, start, err := l.append(&l.enc, false)
	if err != nil {
		return err
	}
	refs := l.enc.refs
	for _, m := range moves {
		for i := range m.refs {
			m.refs[i] = refs[i]
			m.refs[i].seq, m.refs[i].off = s.seq, start+refs[i].off
		}
		refs = refs[len(m.refs):]
		m.group.mu.Lock()
		for i, r := range m.refs {
			m.group.place(m.first+uint64(i), r)
		}
		m.group.mu.Unlock()
	}
	return nil
}

// nextMoves finds entries of the victim, lowest group and index first, for one
// step.
func (l *Log) nextMoves(victim *segment) []move {
	var moves []move
	budget, left := int64(copyStep), victim.entries
	for _, id := range l.Groups() {
		g := l.groups[id]
		for i := 0; i < len(g.refs) && left > 0; i++ {
			if g.refs[i].seq != victim.seq {
				continue
			}
			from := i
			for i < len(g.refs) && g.refs[i].seq == victim.seq && budget > 0 {
				budget -= int64(g.refs[i].size)
				i++
			}
			left -= i - from
			moves = append(moves, move{group: g, first: g.trunc.index + 1 + uint64(from), refs: slices.Clone(g.refs[from:i])})
			if budget <= 0 {
				return moves
			}
		}
	}
	return moves
}

// place moves the entry at index, which the log has, to r. It requires mu.
func (g *GroupLog) place(index uint64, r ref) {
	at := index - g.trunc.index - 1
	g.release(g.refs[at : at+1])
	g.refs[at] = r
	g.retain(r)
}
