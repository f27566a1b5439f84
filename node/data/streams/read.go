package streams

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errGroupOfXread = resp.Error("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
	errNoackOfXread = resp.Error("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
	errClaimOfXread = resp.Error("ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.")
	errNoGroupGiven = resp.Error("ERR Missing GROUP option for XREADGROUP")
	errLastOfGroup  = resp.Error("ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer " +
		"by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.")
	errTopOfGroup = resp.Error("ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer " +
		"by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.")
	errNewOfXread  = resp.Error("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
	errClaimNumber = resp.Error("ERR min-idle-time is not an integer or out of range")
	errClaimBelow  = resp.Error("ERR min-idle-time must be a positive integer")

	errTimeoutNumber = resp.Error("ERR timeout is not an integer or out of range")
	errTimeoutBelow  = resp.Error("ERR timeout is negative")
	errTimeoutRange  = resp.Error("ERR timeout is out of range")
)

// reading is what XREAD or XREADGROUP is asked for.
type reading struct {
	count   int64 // 0: all there are
	blocks  bool
	timeout int64 // ms, 0: for ever

	grouped         bool
	group, consumer []byte
	noack           bool
	claims          bool
	idle            int64 // CLAIM

	keys, ids [][]byte
}

// take takes the arguments. now is in unix ms.
func (o *reading) take(args *command.Args, grouped bool, now int64) (err error) {
	for args.More() && o.keys == nil {
		switch {
		case args.IsWith("block", 1):
			err = o.takeTimeout(args.Next(), now)
		case args.IsWith("count", 1):
			if o.count, err = args.Int(); o.count < 0 {
				o.count = 0
			}
		case args.IsWith("streams", 1):
			err = o.takeStreams(args, grouped)
		case args.IsWith("group", 2):
			if o.grouped, o.group, o.consumer = true, args.Next(), args.Next(); !grouped {
				err = errGroupOfXread
			}
		case args.Is("noack"):
			if o.noack = true; !grouped {
				err = errNoackOfXread
			}
		case args.IsWith("claim", 1):
			err = o.takeClaim(args.Next(), grouped)
		default:
			err = command.ErrSyntax
		}
		if err != nil {
			return err
		}
	}
	switch {
	case o.keys == nil:
		return command.ErrSyntax
	case grouped && !o.grouped:
		return errNoGroupGiven
	}
	return nil
}

// takeStreams takes keys and as many ids.
func (o *reading) takeStreams(args *command.Args, grouped bool) error {
	rest := args.Rest()
	if len(rest)%2 != 0 {
		if grouped {
			return command.Errorf("Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.")
		}
		return command.Errorf("Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.")
	}
	o.keys, o.ids = rest[:len(rest)/2], rest[len(rest)/2:]
	return nil
}

func (o *reading) takeTimeout(arg []byte, now int64) error {
	n, ok := command.ParseInt(arg)
	switch {
	case !ok:
		return errTimeoutNumber
	case n < 0:
		return errTimeoutBelow
	case n > math.MaxInt64-now:
		return errTimeoutRange
	}
	o.blocks, o.timeout = true, n
	return nil
}

func (o *reading) takeClaim(arg []byte, grouped bool) error {
	n, ok := command.ParseInt(arg)
	switch {
	case !grouped:
		return errClaimOfXread
	case !ok:
		return errClaimNumber
	case n < 0:
		return errClaimBelow
	}
	o.claims, o.idle = true, n
	return nil
}

// waits says for how many milliseconds a whole command waits, 0 for ever, if it does.
func waits(args [][]byte) (ms int64, blocks bool) {
	for i := 1; i+1 < len(args) && !command.Is(args[i], "streams"); i++ {
		switch {
		case command.Is(args[i], "block"):
			i++
			ms, blocks = command.ParseInt(args[i])
		case command.Is(args[i], "count"), command.Is(args[i], "claim"):
			i++
		case command.Is(args[i], "group"):
			i += 2
		}
	}
	return max(ms, 0), blocks
}

// position is behind which entry a stream is read: if fresh, behind the last one that
// the group has delivered, otherwise, in a group, what is pending.
type position struct {
	id    keyspace.StreamID
	fresh bool
}

// positionOf reads an id of XREADGROUP.
func groupPosition(arg []byte) (p position, err error) {
	switch {
	case is(arg, ">"):
		return position{fresh: true}, nil
	case is(arg, "$"):
		return p, errLastOfGroup
	case is(arg, "+"):
		return p, errTopOfGroup
	}
	p.id, err = parseID(arg, 0)
	p.fresh = p.id == keyspace.MaxStreamID // as in Redis
	return p, err
}

// positionIn reads an id of XREAD: $ is the last id of the stream, + the one before the
// last entry that is there.
func positionIn(s *keyspace.StreamView, arg []byte) (id keyspace.StreamID, err error) {
	switch {
	case is(arg, "$"):
		return s.Head().Last, nil
	case is(arg, ">"):
		return id, errNewOfXread
	case is(arg, "+"):
		top, any := s.Top()
		if !any {
			return s.Head().Last, nil
		}
		id, _ = top.Before()
		return id, nil
	}
	return parseID(arg, 0)
}

// xread answers with what is behind the ids, or null. Then the ids are what the client
// waits behind, whatever it called them.
func xread(v *command.View, args *command.Args, r *resp.Reply) error {
	var o reading
	if err := o.take(args, false, v.Time()); err != nil {
		return err
	}
	behind := make([]keyspace.StreamID, len(o.keys))
	for i, key := range o.keys {
		s, _, err := v.Stream(key)
		if err != nil {
			return err
		}
		if behind[i], err = positionIn(s, o.ids[i]); err != nil {
			return err
		}
	}
	at, n := r.Here(), 0
	for i, key := range o.keys {
		s, _, _ := v.Stream(key)
		if top, any := s.Top(); !any || top.Compare(behind[i]) <= 0 {
			continue
		}
		from, _ := behind[i].Next()
		r.KeyedPair()
		r.Bulk(key)
		writeRange(r, s, from, keyspace.MaxStreamID, false, o.count)
		n++
	}
	if n > 0 {
		r.KeyedAt(at, n)
		return nil
	}
	if o.blocks {
		v.Again = again(args.All(), behind)
	}
	r.NullArray()
	return nil
}

// again returns a whole XREAD with the ids that it reads behind.
func again(all [][]byte, behind []keyspace.StreamID) [][]byte {
	words := append([][]byte(nil), all...)
	for i, id := range behind {
		words[len(words)-len(behind)+i] = id.Append(nil)
	}
	return words
}

func xreadgroup(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	var o reading
	if err := o.take(args, true, tx.Now()); err != nil {
		return err
	}
	positions, err := o.positions(&tx.View)
	if err != nil {
		return err
	}
	at, n := r.Here(), 0
	for i, key := range o.keys {
		s, err := tx.Stream(key)
		if err != nil {
			return err
		}
		if d := (delivery{reading: &o, s: s, now: tx.Now(), r: r}); d.serve(key, positions[i]) {
			n++
		}
		s.End()
	}
	if n == 0 {
		r.NullArray()
	} else {
		r.KeyedAt(at, n)
	}
	return nil
}

// positions returns where XREADGROUP reads. All groups are there.
func (o *reading) positions(v *keyspace.View) ([]position, error) {
	positions := make([]position, len(o.keys))
	for i, key := range o.keys {
		s, _, err := v.Stream(key)
		if err != nil {
			return nil, err
		}
		if _, found := s.Group(o.group); !found {
			return nil, noGroup("No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option", key, o.group)
		}
		if positions[i], err = groupPosition(o.ids[i]); err != nil {
			return nil, err
		}
	}
	return positions, nil
}

// lookForNew is the look of XREADGROUP: there is something to do where a group has
// entries to deliver, or pending ones that may be claimed by now.
func lookForNew(v *command.View, args *command.Args, _ *resp.Reply) error {
	var o reading
	if err := o.take(args, true, v.Time()); err != nil {
		return err
	}
	positions, err := o.positions(v.View)
	if err != nil {
		return err
	}
	n := -1
	return v.Find(o.keys, func(key []byte) (int64, error) {
		n++
		s, _, err := v.Stream(key)
		if err != nil {
			return 0, err
		}
		g, _ := s.Group(o.group)
		if !positions[n].fresh {
			return math.MaxInt32, nil
		}
		if o.claims {
			if p, ok := firstClaimable(s, g); ok {
				in := claimableAt(p, o.idle) - v.Time()
				if in <= 0 {
					return math.MaxInt32, nil
				}
				if v.Found.In == 0 || in < v.Found.In {
					v.Found.In = in
				}
			}
		}
		from, _ := g.Last.Next()
		return s.CountFrom(from), nil
	})
}

// firstClaimable returns the pending entry that was delivered first among those that are
// there.
func firstClaimable(s *keyspace.StreamView, g keyspace.StreamGroup) (keyspace.PendingEntry, bool) {
	for p := range s.PendingIdle(g) {
		if s.Has(p.ID) {
			return p, true
		}
	}
	return keyspace.PendingEntry{}, false
}

// claimableAt returns when a pending entry will have been idle for so long.
func claimableAt(p keyspace.PendingEntry, idle int64) int64 {
	if idle > math.MaxInt64-max(p.Delivered, 0) {
		return math.MaxInt64
	}
	return p.Delivered + idle
}
