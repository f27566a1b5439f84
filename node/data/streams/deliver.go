package streams

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// delivery is what XREADGROUP does with one of its streams. What it does never depends on
// the reply, which only one replica has.
type delivery struct {
	*reading
	s   *keyspace.Stream
	g   keyspace.StreamGroup
	c   keyspace.StreamConsumer
	now int64
	r   *resp.Reply
}

// serve writes the stream's part of the reply, and reports whether there is one. The
// consumer is seen in any case.
func (d *delivery) serve(key []byte, p position) (served bool) {
	d.g, _ = d.s.Group(d.group)
	d.c = consumerSeen(d.s, d.g, d.consumer, d.now)
	if !p.fresh {
		d.begin(key)
		d.history(p.id)
		d.claims = false // as in Redis, of the streams behind this one too
		return true
	}
	claimed := d.claimable()
	from, more := d.g.Last.Next()
	more = more && d.s.CountFrom(from) > 0
	if len(claimed) == 0 && !more {
		return false
	}
	d.begin(key)
	at := d.r.Here()
	d.claim(claimed)
	n := len(claimed)
	if more && (d.count == 0 || int64(n) < d.count) {
		n += d.fresh(from, d.count-int64(n))
	}
	d.r.ArrayAt(at, n)
	return true
}

func (d *delivery) begin(key []byte) {
	d.r.KeyedPair()
	d.r.Bulk(key)
}

// history writes what is pending with the consumer behind an id; it counts as delivered
// again.
func (d *delivery) history(behind keyspace.StreamID) {
	from, ok := behind.Next()
	var pending []keyspace.PendingEntry
	for p := range d.s.PendingOf(d.g, d.c, from) {
		if !ok || d.count != 0 && int64(len(pending)) == d.count {
			break
		}
		pending = append(pending, p)
	}
	d.r.Array(len(pending))
	for _, p := range pending {
		e, there := d.s.Entry(p.ID)
		if !there {
			d.r.Array(2)
			writeID(d.r, p.ID)
			d.r.NullArray()
			continue
		}
		writeEntry(d.r, e)
		d.s.Deliver(d.g, d.c, p.ID, d.now, p.Deliveries+1)
	}
}

// claimable returns the pending entries that CLAIM takes: those that have been idle for
// long enough, and are there.
func (d *delivery) claimable() (claimed []keyspace.PendingEntry) {
	if !d.claims {
		return nil
	}
	for p := range d.s.PendingIdle(d.g) {
		if claimableAt(p, d.idle) > d.now || d.count != 0 && int64(len(claimed)) == d.count {
			break
		}
		if d.s.Has(p.ID) {
			claimed = append(claimed, p)
		}
	}
	return claimed
}

// claim writes pending entries, with for how long they have been idle and how often they
// were delivered, and makes them the consumer's.
func (d *delivery) claim(pending []keyspace.PendingEntry) {
	for _, p := range pending {
		e, _ := d.s.Entry(p.ID)
		d.write(e, d.now-p.Delivered, p.Deliveries)
		d.s.Deliver(d.g, d.c, p.ID, d.now, p.Deliveries+1)
	}
	if len(pending) > 0 {
		d.c.Active = d.now
		d.s.SetConsumer(d.g, d.c)
	}
}

// write writes an entry as CLAIM has it, or without.
func (d *delivery) write(e keyspace.StreamEntry, idle, deliveries int64) {
	if !d.claims {
		writeEntry(d.r, e)
		return
	}
	d.r.Array(4)
	writeContent(d.r, e)
	d.r.Int(max(idle, 0))
	d.r.Int(deliveries)
}

// fresh writes entries that the group has not delivered yet, up to limit if that is
// above 0, and returns how many.
func (d *delivery) fresh(from keyspace.StreamID, limit int64) (n int) {
	for e := range d.s.Entries(from, keyspace.MaxStreamID, false) {
		advance(&d.s.StreamView, &d.g, e.ID)
		d.write(e, 0, 0)
		if !d.noack {
			d.s.Deliver(d.g, d.c, e.ID, d.now, 1)
		}
		if n++; int64(n) == limit {
			break
		}
	}
	d.s.SetGroup(d.g)
	if d.noack {
		return n
	}
	d.c.Active = d.now
	d.s.SetConsumer(d.g, d.c)
	return n
}
