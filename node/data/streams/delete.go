package streams

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errNumIDs   = resp.Error("ERR Number of IDs must be a positive integer")
	errIDsMatch = resp.Error("ERR The `numids` parameter must match the number of arguments")
)

// What XDELEX and XACKDEL say of an id.
const (
	notThere = -1
	removed  = 1
	referred = 2 // the entry stays
)

// takeMarked takes the options of XDELEX and XACKDEL: IDS with a number of them, and
// what is to become of references.
func takeMarked(args *command.Args) (ids [][]byte, o referenceOption, err error) {
	for args.More() {
		switch {
		case o.take(args):
		case args.IsWith("ids", 1):
			n, ok := command.ParseInt(args.Next())
			switch {
			case !ok || n <= 0:
				return nil, o, errNumIDs
			case n > int64(args.Len()):
				return nil, o, errIDsMatch
			}
			ids = args.Take(int(n))
		default:
			return nil, o, command.ErrSyntax
		}
	}
	if ids == nil {
		return nil, o, command.ErrSyntax
	}
	return ids, o, nil
}

// writeNone says of so many ids that they are not there.
func writeNone(r *resp.Reply, n int) {
	r.Array(n)
	for range n {
		r.Int(notThere)
	}
}

// remove removes an entry, and tells what became of it.
func remove(s *keyspace.Stream, id keyspace.StreamID, references keyspace.StreamReferences) int64 {
	if references == keyspace.OnlyAcknowledged && s.Referenced(id) {
		return referred
	}
	if !s.Delete(id) {
		return notThere
	}
	if references == keyspace.DropReferences {
		s.DropReferences(id)
	}
	return removed
}

func xdelex(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, err := tx.Stream(args.Next())
	if err != nil {
		return err
	}
	words, o, err := takeMarked(args)
	switch {
	case err != nil:
		return err
	case !s.Exists():
		writeNone(r, len(words))
		return nil
	}
	ids, err := parseIDs(words)
	if err != nil {
		return err
	}
	r.Array(len(ids))
	for _, id := range ids {
		r.Int(remove(s, id, o.what))
	}
	s.End()
	return nil
}

func xackdel(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, err := tx.Stream(args.Next())
	if err != nil {
		return err
	}
	g, found := s.Group(args.Next())
	words, o, err := takeMarked(args)
	switch {
	case err != nil:
		return err
	case !found:
		writeNone(r, len(words))
		return nil
	}
	ids, err := parseIDs(words)
	if err != nil {
		return err
	}
	r.Array(len(ids))
	for _, id := range ids {
		if !s.Acknowledge(g, id) {
			r.Int(notThere)
			continue
		}
		r.Int(acknowledged(s, id, o.what))
	}
	s.End()
	return nil
}

// acknowledged removes an entry that was acknowledged; one that is not there is no worse.
func acknowledged(s *keyspace.Stream, id keyspace.StreamID, references keyspace.StreamReferences) int64 {
	if told := remove(s, id, references); told != notThere {
		return told
	}
	return removed
}
