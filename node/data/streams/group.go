package streams

import (
	"fmt"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errNoStream = resp.Error("ERR The XGROUP subcommand requires the key to exist. " +
		"Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.")
	errBusyGroup   = resp.Error("BUSYGROUP Consumer Group name already exists")
	errEntriesRead = resp.Error("ERR value for ENTRIESREAD must be positive or -1")
)

// unknown is the number of entries read that nobody knows.
const unknown = -1

func noGroup(format string, args ...[]byte) error {
	return resp.Error("NOGROUP " + quoted(format, args...))
}

// groupOptions are those of XGROUP CREATE and SETID.
type groupOptions struct {
	create bool
	read   int64
	// given is how many arguments they are.
	given int
}

func (o *groupOptions) takeAll(args *command.Args, creates bool) (err error) {
	o.read, o.given = unknown, args.Len()
	for args.More() {
		switch {
		case creates && args.Is("mkstream"):
			o.create = true
		case args.IsWith("entriesread", 1):
			if o.read, err = args.Int(); err == nil && o.read < unknown {
				err = errEntriesRead
			}
			if err != nil {
				return err
			}
		default:
			return args.ErrSubcommand()
		}
	}
	return nil
}

// readOf returns how many entries the group has read: not more than there ever were.
func (o *groupOptions) readOf(s *keyspace.Stream) int64 {
	if added := s.Head().Added; o.read > 0 && uint64(o.read) > added {
		return int64(added)
	}
	return o.read
}

// streamOf returns the stream of an XGROUP subcommand, which must be there.
func streamOf(tx *command.Tx, key []byte) (*keyspace.Stream, error) {
	s, err := tx.Stream(key)
	if err == nil && !s.Exists() {
		err = errNoStream
	}
	return s, err
}

// groupOf returns a group of the stream, too, which must be there.
func groupOf(tx *command.Tx, key, name []byte) (s *keyspace.Stream, g keyspace.StreamGroup, err error) {
	if s, err = streamOf(tx, key); err != nil {
		return s, g, err
	}
	g, found := s.Group(name)
	if !found {
		err = noGroup("No such consumer group '%s' for key name '%s'", name, key)
	}
	return s, g, err
}

// groupID reads the id that a group is to go on behind; $ is the last one.
func groupID(s *keyspace.Stream, arg []byte) (keyspace.StreamID, error) {
	if is(arg, "$") {
		return s.Head().Last, nil
	}
	return parseID(arg, 0)
}

func xgroupCreate(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, name, id := args.Next(), args.Next(), args.Next()
	var o groupOptions
	if err := o.takeAll(args, true); err != nil {
		return err
	}
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	const mostGiven = 3 // so does Redis
	switch {
	case !s.Exists() && !o.create:
		return errNoStream
	case o.given > mostGiven:
		return args.ErrSubcommand()
	}
	last, err := groupID(s, id)
	if err != nil {
		return err
	}
	if !s.AddGroup(name, last, o.readOf(s)) {
		return errBusyGroup
	}
	s.End()
	r.OK()
	return nil
}

func xgroupSetID(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, name, id := args.Next(), args.Next(), args.Next()
	var o groupOptions
	if err := o.takeAll(args, false); err != nil {
		return err
	}
	s, g, err := groupOf(tx, key, name)
	if err != nil {
		return err
	}
	if o.given > 2 {
		return args.ErrSubcommand()
	}
	switch {
	case is(id, "$"):
		g.Last = s.Head().Last
	default:
		if g.Last, err = parseBound(id, 0); err != nil {
			return err
		}
	}
	g.Read = o.readOf(s)
	s.SetGroup(g)
	s.End()
	r.OK()
	return nil
}

func xgroupDestroy(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, err := streamOf(tx, args.Next())
	if err != nil {
		return err
	}
	gone := int64(0)
	if s.RemoveGroup(args.Next()) {
		gone = 1
	}
	s.End()
	r.Int(gone)
	return nil
}

func xgroupCreateConsumer(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, g, err := groupOf(tx, args.Next(), args.Next())
	if err != nil {
		return err
	}
	name := args.Next()
	if _, there := s.Consumer(g, name); there {
		r.Int(0)
		return nil
	}
	s.AddConsumer(g, name, tx.Now())
	s.End()
	r.Int(1)
	return nil
}

func xgroupDelConsumer(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, g, err := groupOf(tx, args.Next(), args.Next())
	if err != nil {
		return err
	}
	c, there := s.Consumer(g, args.Next())
	if !there {
		r.Int(0)
		return nil
	}
	r.Int(s.CountPendingOf(g, c))
	s.RemoveConsumer(g, c)
	s.End()
	return nil
}

// consumerSeen returns the consumer of a name, which is seen now and made if there is
// none.
func consumerSeen(s *keyspace.Stream, g keyspace.StreamGroup, name []byte, now int64) keyspace.StreamConsumer {
	c, there := s.Consumer(g, name)
	if !there {
		return s.AddConsumer(g, name, now)
	}
	c.Seen = now
	s.SetConsumer(g, c)
	return c
}

// quoted formats an error that names what a client sent.
func quoted(format string, args ...[]byte) string {
	printable := make([]any, len(args))
	for i, arg := range args {
		printable[i] = command.Printable(arg, len(arg))
	}
	return fmt.Sprintf(format, printable...)
}
