package wal

import "fmt"

// plan is a group as it will be after the operations of a batch so far.
type plan struct {
	exists      bool
	trunc, last uint64
}

// plan checks a batch against the present state and completes its operations:
// entries at or below the truncation point are dropped, truncations that change
// nothing become kindSkip, and those that replace the log are marked. After it,
// apply cannot fail.
func (l *Log) plan(b *Batch) error {
	clear(l.plans)
	for i := range b.ops {
		o := &b.ops[i]
		if o.kind == kindIdentity || o.kind == kindSkip {
			continue
		}
		p, ok := l.plans[o.group]
		if !ok {
			if g := l.groups[o.group]; g != nil {
				p = plan{exists: true, trunc: g.trunc.index, last: g.last()}
			}
		}
		if o.kind == kindCreate {
			if p.exists {
				return fmt.Errorf("creating group %d: %w", o.group, ErrGroupExists)
			}
			p = plan{exists: true}
		} else if !p.exists {
			return fmt.Errorf("group %d: %w", o.group, ErrUnknownGroup)
		}
		switch o.kind {
		case kindDestroy:
			p = plan{}
		case kindEntries:
			if err := p.append(o); err != nil {
				return err
			}
		case kindTruncate:
			p.truncate(o, l.termAt(b, i, p))
		}
		l.plans[o.group] = p
	}
	return nil
}

// append plans a kindEntries operation.
func (p *plan) append(o *op) error {
	if len(o.entries) == 0 {
		return nil
	}
	first := o.entries[0].GetIndex()
	if first == 0 || first > p.last+1 {
		return fmt.Errorf("group %d: entries from %d on behind a log that ends at %d: %w", o.group, first, p.last, ErrBadBatch)
	}
	for i, e := range o.entries {
		if e.GetIndex() != first+uint64(i) {
			return fmt.Errorf("group %d: entry %d follows entry %d: %w", o.group, e.GetIndex(), first+uint64(i)-1, ErrBadBatch)
		}
	}
	if first <= p.trunc {
		o.entries = o.entries[min(p.trunc+1-first, uint64(len(o.entries))):]
		if len(o.entries) == 0 {
			if !o.hasHS {
				o.kind = kindSkip
			}
			return nil
		}
	}
	if o.bytes = recordsSize(o.entries); o.bytes > maxPayload {
		return fmt.Errorf("group %d: %d bytes of entries: %w", o.group, o.bytes, ErrBadBatch)
	}
	p.last = o.entries[len(o.entries)-1].GetIndex()
	return nil
}

// truncate plans a kindTruncate operation; term is that of the log's entry at
// the point, if the log has one.
func (p *plan) truncate(o *op, term uint64) {
	index := o.point.index
	switch {
	case index < p.trunc:
		o.kind = kindSkip
	case index > p.last || term != o.point.term:
		o.reset = true
		p.trunc, p.last = index, index
	case index == p.trunc && o.point.conf == nil:
		o.kind = kindSkip
	default:
		p.trunc = index
	}
}

// termAt returns the term at the point of the truncation b.ops[at], as the
// operations before it leave the log. The index is in [p.trunc, p.last]; for
// others the result means nothing.
func (l *Log) termAt(b *Batch, at int, p plan) uint64 {
	group, index := b.ops[at].group, b.ops[at].point.index
	if index < p.trunc || index > p.last {
		return 0
	}
	for i := at - 1; i >= 0; i-- {
		o := &b.ops[i]
		if o.group != group {
			continue
		}
		switch o.kind {
		case kindCreate:
			return 0
		case kindTruncate:
			if o.point.index == index {
				return o.point.term
			}
		case kindEntries:
			if n := len(o.entries); n > 0 {
				if first := o.entries[0].GetIndex(); index >= first && index < first+uint64(n) {
					return o.entries[index-first].GetTerm()
				}
			}
		}
	}
	g := l.groups[group]
	if index == g.trunc.index {
		return g.trunc.term
	}
	return g.refs[index-g.trunc.index-1].term
}

// encode puts the batch into l.enc.
func (l *Log) encode(b *Batch) error {
	e := &l.enc
	for i := range b.ops {
		o := &b.ops[i]
		switch o.kind {
		case kindSkip:
		case kindEntries:
			if o.hasHS {
				e.hardState(o.group, o.hs)
			}
			if len(o.entries) > 0 {
				e.entries(o.group, o.entries, o.bytes)
			}
		case kindTruncate:
			var conf []byte
			if o.point.conf != nil {
				var err error
				if conf, err = marshalConf(o.point.conf); err != nil {
					return err
				}
			}
			e.truncate(o.group, o.point.index, o.point.term, o.reset, conf)
		default:
			if int64(len(o.blob)) > maxPayload {
				return fmt.Errorf("a blob of %d bytes: %w", len(o.blob), ErrBadBatch)
			}
			e.blob(o.kind, o.group, o.blob)
		}
	}
	return nil
}

// apply brings a batch that was written at start of s into memory.
func (l *Log) apply(b *Batch, s *segment, start int64) {
	refs := l.enc.refs
	for i := range b.ops {
		o := &b.ops[i]
		switch o.kind {
		case kindSkip:
		case kindIdentity:
			l.setIdentity(o.blob)
		case kindCreate:
			l.addGroup(o.group, o.blob)
		case kindDestroy:
			l.removeGroup(o.group)
		case kindMeta:
			l.groups[o.group].setMeta(o.blob)
		case kindTruncate:
			g := l.groups[o.group]
			g.mu.Lock()
			g.truncate(o.point, o.reset)
			g.mu.Unlock()
		case kindEntries:
			g := l.groups[o.group]
			g.mu.Lock()
			if o.hasHS {
				g.hs = o.hs
			}
			if len(o.entries) > 0 {
				g.cut(o.entries[0].GetIndex())
				for j, e := range o.entries {
					r := refs[j]
					r.seq, r.off = s.seq, r.off+start
					g.push(r, e.GetType())
				}
				g.remember(o.entries, l.opts.CacheBytes)
				refs = refs[len(o.entries):]
			}
			g.mu.Unlock()
		}
	}
}

// setIdentity keeps an empty blob apart from none.
func (l *Log) setIdentity(blob []byte) {
	if blob == nil {
		blob = []byte{}
	}
	l.mu.Lock()
	l.identity = blob
	l.mu.Unlock()
}

func (l *Log) addGroup(id GroupID, meta []byte) *GroupLog {
	g := &GroupLog{log: l, id: id, meta: meta}
	l.mu.Lock()
	l.groups[id] = g
	l.mu.Unlock()
	return g
}

func (l *Log) removeGroup(id GroupID) {
	g := l.groups[id]
	l.mu.Lock()
	delete(l.groups, id)
	l.mu.Unlock()
	g.drop()
}

func (g *GroupLog) setMeta(meta []byte) {
	g.mu.Lock()
	g.meta = meta
	g.mu.Unlock()
}
