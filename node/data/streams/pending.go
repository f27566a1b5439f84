package streams

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

func xack(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, err := tx.Stream(args.Next())
	if err != nil {
		return err
	}
	g, found := s.Group(args.Next())
	if !found {
		r.Int(0)
		return nil
	}
	ids, err := parseIDs(args.Rest())
	if err != nil {
		return err
	}
	n := int64(0)
	for _, id := range ids {
		if s.Acknowledge(g, id) {
			n++
		}
	}
	s.End()
	r.Int(n)
	return nil
}

// listing is the form of XPENDING that lists entries.
type listing struct {
	given    bool
	idle     int64
	from, to keyspace.StreamID
	count    int64
	consumer []byte // nil: all
}

// take takes the arguments behind key and group.
func (o *listing) take(args *command.Args) (err error) {
	const least, most = 3, 6
	n := args.Len()
	if n == 0 {
		return nil
	}
	if n < least || n > most {
		return command.ErrSyntax
	}
	o.given = true
	if args.Is("idle") {
		if o.idle, err = args.Int(); err != nil {
			return err
		}
		if args.Len() < least {
			return command.ErrSyntax
		}
	}
	first, last := args.Next(), args.Next()
	if o.count, err = args.Int(); err != nil {
		return err
	}
	if o.from, err = parseStart(first); err != nil {
		return err
	}
	if o.to, err = parseEnd(last); err != nil {
		return err
	}
	o.consumer = args.Next()
	return nil
}

func xpending(v *command.View, args *command.Args, r *resp.Reply) error {
	key, name := args.Next(), args.Next()
	var o listing
	if err := o.take(args); err != nil {
		return err
	}
	s, _, err := v.Stream(key)
	if err != nil {
		return err
	}
	g, found := s.Group(name)
	switch {
	case !found:
		return noGroup("No such key '%s' or consumer group '%s'", key, name)
	case !o.given:
		summarize(s, g, r)
	default:
		o.write(s, g, v.Time(), r)
	}
	return nil
}

// summarize writes how many entries are pending, from which to which, and with whom.
func summarize(s *keyspace.StreamView, g keyspace.StreamGroup, r *resp.Reply) {
	n := s.CountPending(g)
	r.Array(4)
	r.Int(n)
	if n == 0 {
		r.Null()
		r.Null()
		r.NullArray()
		return
	}
	for p := range s.Pending(g, keyspace.StreamID{}) {
		writeID(r, p.ID)
		break
	}
	last, _ := s.LastPending(g)
	writeID(r, last.ID)
	at, consumers := r.Here(), 0
	for c := range s.Consumers(g) {
		if n := s.CountPendingOf(g, c); n > 0 {
			r.Array(2)
			r.Bulk(c.Name)
			r.BulkInt(n)
			consumers++
		}
	}
	r.ArrayAt(at, consumers)
}

func (o *listing) write(s *keyspace.StreamView, g keyspace.StreamGroup, now int64, r *resp.Reply) {
	pending := s.Pending(g, o.from)
	if o.consumer != nil {
		c, there := s.Consumer(g, o.consumer)
		if !there {
			r.Array(0)
			return
		}
		pending = s.PendingOf(g, c, o.from)
	}
	at, n := r.Here(), int64(0)
	for p := range pending {
		if n >= o.count || p.ID.Compare(o.to) > 0 || r.Full() {
			break
		}
		if o.idle != 0 && now-p.Delivered < o.idle {
			continue
		}
		r.Array(4)
		writeID(r, p.ID)
		r.Bulk(s.Owner(g, p))
		r.Int(max(now-p.Delivered, 0))
		r.Int(p.Deliveries)
		n++
	}
	r.ArrayAt(at, int(n))
}

const (
	errClaimIdle     = resp.Error("ERR Invalid min-idle-time argument for XCLAIM")
	errClaimIdleOpt  = resp.Error("ERR Invalid IDLE option argument for XCLAIM")
	errClaimTimeOpt  = resp.Error("ERR Invalid TIME option argument for XCLAIM")
	errClaimRetryOpt = resp.Error("ERR Invalid RETRYCOUNT option argument for XCLAIM")
	errAutoIdle      = resp.Error("ERR Invalid min-idle-time argument for XAUTOCLAIM")
	errAutoCount     = resp.Error("ERR COUNT must be > 0")
)

// claim is what XCLAIM or XAUTOCLAIM does with pending entries.
type claim struct {
	s   *keyspace.Stream
	g   keyspace.StreamGroup
	c   keyspace.StreamConsumer
	now int64
	// idle is for how long an entry must have been idle.
	idle int64
	// delivered and retries are what the entry is noted with; retries below 0: once
	// more, unless justID.
	delivered, retries int64
	justID, force      bool
	last               keyspace.StreamID
}

// intOr takes an integer; err is what to say if it is none.
func intOr(args *command.Args, err error) (int64, error) {
	n, ok := command.ParseInt(args.Next())
	if !ok {
		return 0, err
	}
	return n, nil
}

// takeOptions takes those of XCLAIM.
func (o *claim) takeOptions(args *command.Args) (err error) {
	timed := int64(-1)
	for args.More() && err == nil {
		switch {
		case args.Is("force"):
			o.force = true
		case args.Is("justid"):
			o.justID = true
		case args.IsWith("idle", 1):
			timed, err = intOr(args, errClaimIdleOpt)
			timed = o.now - timed
		case args.IsWith("time", 1):
			timed, err = intOr(args, errClaimTimeOpt)
		case args.IsWith("retrycount", 1):
			o.retries, err = intOr(args, errClaimRetryOpt)
		case args.IsWith("lastid", 1):
			o.last, err = parseID(args.Next(), 0)
		default:
			return resp.Error("ERR " + quoted("Unrecognized XCLAIM option '%s'", args.Next()))
		}
	}
	if o.delivered = timed; timed < 0 || timed > o.now {
		o.delivered = o.now
	}
	return err
}

// begin has the consumer seen.
func (o *claim) begin(name []byte) { o.c = consumerSeen(o.s, o.g, name, o.now) }

// end writes the consumer, which has been given something.
func (o *claim) end(any bool) {
	if any {
		o.c.Active = o.now
		o.s.SetConsumer(o.g, o.c)
	}
	o.s.End()
}

// take makes an entry that is there the consumer's, and writes it.
func (o *claim) take(p keyspace.PendingEntry, r *resp.Reply) {
	deliveries := p.Deliveries
	switch {
	case o.retries >= 0:
		deliveries = o.retries
	case !o.justID:
		deliveries++
	}
	o.s.Deliver(o.g, o.c, p.ID, o.delivered, deliveries)
	if o.justID {
		writeID(r, p.ID)
		return
	}
	e, _ := o.s.Entry(p.ID)
	writeEntry(r, e)
}

func xclaim(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, group, consumer := args.Next(), args.Next(), args.Next()
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	o := claim{s: s, now: tx.Now(), retries: -1}
	var found bool
	if o.g, found = s.Group(group); !found {
		return noGroup("No such key '%s' or consumer group '%s'", key, group)
	}
	if o.idle, err = intOr(args, errClaimIdle); err != nil {
		return err
	}
	var ids []keyspace.StreamID
	for args.More() {
		id, err := parseID(args.Peek(), 0)
		if err != nil {
			break // an option, perhaps
		}
		args.Next()
		ids = append(ids, id)
	}
	if err := o.takeOptions(args); err != nil {
		return err
	}
	if o.last.Compare(o.g.Last) > 0 {
		o.g.Last = o.last
		s.SetGroup(o.g)
	}
	o.begin(consumer)
	at, n := r.Here(), 0
	for _, id := range ids {
		if o.one(id, r) {
			n++
		}
	}
	r.ArrayAt(at, n)
	o.end(n > 0)
	return nil
}

// one claims the entry of an id for XCLAIM, if it may. One that is not there is pending no
// more.
func (o *claim) one(id keyspace.StreamID, r *resp.Reply) bool {
	p, pending := o.s.PendingAt(o.g, id)
	switch {
	case !o.s.Has(id):
		o.s.Acknowledge(o.g, id)
		return false
	case !pending && !o.force:
		return false
	case !pending:
		p = keyspace.PendingEntry{ID: id, Deliveries: 1}
	case o.idle > 0 && o.now-p.Delivered < o.idle:
		return false
	}
	o.take(p, r)
	return true
}

func xautoclaim(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, group, consumer := args.Next(), args.Next(), args.Next()
	o := claim{now: tx.Now(), delivered: tx.Now(), retries: -1}
	var err error
	if o.idle, err = intOr(args, errAutoIdle); err != nil {
		return err
	}
	from, err := parseStart(args.Next())
	if err != nil {
		return err
	}
	count := int64(100)
	for args.More() {
		switch {
		case args.IsWith("count", 1):
			const most = math.MaxInt64 / streamIDSize
			if count, err = intOr(args, errAutoCount); err != nil || count < 1 || count > most {
				return errAutoCount
			}
		case args.Is("justid"):
			o.justID = true
		default:
			return command.ErrSyntax
		}
	}
	if o.s, err = tx.Stream(key); err != nil {
		return err
	}
	var found bool
	if o.g, found = o.s.Group(group); !found {
		return noGroup("No such key '%s' or consumer group '%s'", key, group)
	}
	o.begin(consumer)
	o.automatically(from, count, r)
	return nil
}

const streamIDSize = 16

// automatically claims up to count of the pending entries from an id on, and looks at ten
// times as many.
func (o *claim) automatically(from keyspace.StreamID, count int64, r *resp.Reply) {
	const attemptsFor = 10
	attempts := count * attemptsFor
	if count > math.MaxInt64/attemptsFor {
		attempts = math.MaxInt64
	}
	var taken []keyspace.PendingEntry
	var gone []keyspace.StreamID
	next := keyspace.StreamID{}
	for p := range o.s.Pending(o.g, from) {
		if attempts == 0 || count == 0 {
			next = p.ID
			break
		}
		attempts--
		switch {
		case !o.s.Has(p.ID):
			gone = append(gone, p.ID)
			count--
		case o.idle > 0 && o.now-p.Delivered < o.idle:
		default:
			taken = append(taken, p)
			count--
		}
	}
	for _, id := range gone {
		o.s.Acknowledge(o.g, id)
	}
	r.Array(3)
	writeID(r, next)
	r.Array(len(taken))
	for _, p := range taken {
		o.take(p, r)
	}
	r.Array(len(gone))
	for _, id := range gone {
		writeID(r, id)
	}
	o.end(len(taken) > 0)
}
