package streams

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// existing returns the stream of a key, which must be there.
func existing(v *command.View, key []byte) (*keyspace.StreamView, error) {
	s, found, err := v.Stream(key)
	if err == nil && !found {
		err = command.ErrNoSuchKey
	}
	return s, err
}

// writeProgress writes how much a group has read, and how much it has yet to.
func writeProgress(s *keyspace.StreamView, g keyspace.StreamGroup, r *resp.Reply) {
	writeKnown := func(n int64, known bool) {
		if known {
			r.Int(n)
		} else {
			r.Null()
		}
	}
	r.BulkString("entries-read")
	writeKnown(g.Read, g.Read != unknown)
	r.BulkString("lag")
	writeKnown(lag(s, g))
}

// pairs writes a name and a number in turn.
func pairs(r *resp.Reply, name string, n int64) {
	r.BulkString(name)
	r.Int(n)
}

// idPair writes a name and an id.
func idPair(r *resp.Reply, name string, id keyspace.StreamID) {
	r.BulkString(name)
	writeID(r, id)
}

func xinfoStream(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	full, count := args.More(), int64(10)
	s, err := existing(v, key)
	if err != nil {
		return err
	}
	if full {
		if n := args.Len(); n != 1 && n != 3 || !args.Is("full") {
			return args.ErrSubcommand()
		}
		if args.More() {
			if !args.IsWith("count", 1) {
				return args.ErrSubcommand()
			}
			if count, err = args.Int(); err != nil {
				return err
			}
			if count < 0 {
				count = 10
			}
		}
	}
	if !full {
		r.Map(10)
		writeHead(s, r)
		pairs(r, "groups", s.CountGroups())
		r.BulkString("first-entry")
		writeEdge(s, false, r)
		r.BulkString("last-entry")
		writeEdge(s, true, r)
		return nil
	}
	r.Map(9)
	writeHead(s, r)
	r.BulkString("entries")
	writeRange(r, s, keyspace.StreamID{}, keyspace.MaxStreamID, false, count)
	r.BulkString("groups")
	r.Array(int(s.CountGroups()))
	s.Groups(func(g keyspace.StreamGroup) bool {
		writeGroup(s, g, count, r)
		return !r.Full()
	})
	return nil
}

// writeHead writes what XINFO STREAM says with and without FULL.
func writeHead(s *keyspace.StreamView, r *resp.Reply) {
	head := s.Head()
	keys, nodes := s.RadixTree()
	first, _ := s.First()
	pairs(r, "length", s.Len())
	pairs(r, "radix-tree-keys", keys)
	pairs(r, "radix-tree-nodes", nodes)
	idPair(r, "last-generated-id", head.Last)
	idPair(r, "max-deleted-entry-id", head.Deleted)
	pairs(r, "entries-added", int64(head.Added))
	idPair(r, "recorded-first-entry-id", first)
}

// writeEdge writes the first or the last entry, or null.
func writeEdge(s *keyspace.StreamView, last bool, r *resp.Reply) {
	for e := range s.Entries(keyspace.StreamID{}, keyspace.MaxStreamID, last) {
		writeEntry(r, e)
		return
	}
	r.Null()
}

// writeGroup writes what XINFO STREAM FULL says of a group.
func writeGroup(s *keyspace.StreamView, g keyspace.StreamGroup, count int64, r *resp.Reply) {
	r.Map(7)
	r.BulkString("name")
	r.Bulk(g.Name)
	idPair(r, "last-delivered-id", g.Last)
	writeProgress(s, g, r)
	pairs(r, "pel-count", s.CountPending(g))
	r.BulkString("pending")
	at, n := r.Here(), int64(0)
	for p := range s.Pending(g, keyspace.StreamID{}) {
		if count != 0 && n == count || r.Full() {
			break
		}
		r.Array(4)
		writeID(r, p.ID)
		r.Bulk(s.Owner(g, p))
		r.Int(p.Delivered)
		r.Int(p.Deliveries)
		n++
	}
	r.ArrayAt(at, int(n))
	r.BulkString("consumers")
	r.Array(int(s.CountConsumers(g)))
	for c := range s.Consumers(g) {
		writeConsumer(s, g, c, count, r)
	}
}

// writeConsumer writes what XINFO STREAM FULL says of a consumer.
func writeConsumer(s *keyspace.StreamView, g keyspace.StreamGroup, c keyspace.StreamConsumer, count int64, r *resp.Reply) {
	r.Map(5)
	r.BulkString("name")
	r.Bulk(c.Name)
	pairs(r, "seen-time", c.Seen)
	pairs(r, "active-time", c.Active)
	pairs(r, "pel-count", s.CountPendingOf(g, c))
	r.BulkString("pending")
	at, n := r.Here(), int64(0)
	for p := range s.PendingOf(g, c, keyspace.StreamID{}) {
		if count != 0 && n == count || r.Full() {
			break
		}
		r.Array(3)
		writeID(r, p.ID)
		r.Int(p.Delivered)
		r.Int(p.Deliveries)
		n++
	}
	r.ArrayAt(at, int(n))
}

func xinfoGroups(v *command.View, args *command.Args, r *resp.Reply) error {
	s, err := existing(v, args.Next())
	if err != nil {
		return err
	}
	r.Array(int(s.CountGroups()))
	s.Groups(func(g keyspace.StreamGroup) bool {
		r.Map(6)
		r.BulkString("name")
		r.Bulk(g.Name)
		pairs(r, "consumers", s.CountConsumers(g))
		pairs(r, "pending", s.CountPending(g))
		idPair(r, "last-delivered-id", g.Last)
		writeProgress(s, g, r)
		return !r.Full()
	})
	return nil
}

func xinfoConsumers(v *command.View, args *command.Args, r *resp.Reply) error {
	key, name := args.Next(), args.Next()
	s, err := existing(v, key)
	if err != nil {
		return err
	}
	g, found := s.Group(name)
	if !found {
		return noGroup("No such consumer group '%s' for key name '%s'", name, key)
	}
	now := v.Time()
	r.Array(int(s.CountConsumers(g)))
	for c := range s.Consumers(g) {
		inactive := int64(unknown)
		if c.Active != unknown {
			inactive = max(now-c.Active, 0)
		}
		r.Map(4)
		r.BulkString("name")
		r.Bulk(c.Name)
		pairs(r, "pending", s.CountPendingOf(g, c))
		pairs(r, "idle", max(now-c.Seen, 0))
		pairs(r, "inactive", inactive)
		if r.Full() {
			break
		}
	}
	return nil
}
