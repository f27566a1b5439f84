package keys

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// moveCommands returns the rows of the internal commands that MIGRATE consists of.
func moveCommands() []*command.Command {
	return []*command.Command{
		{
			Name: command.CopyOutName, Arity: -2, Flags: command.FlagReadOnly, Unjudged: true,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
			Read: copyOut,
		},
		{
			Name: command.DropName, Arity: -4, Flags: command.FlagWrite, Unjudged: true,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1, Last: -3, Step: 3}},
			Write: drop,
		},
	}
}

func copyOut(v *command.View, args *command.Args, r *resp.Reply) error {
	r.Array(args.Len())
	for args.More() && !r.Full() {
		key := args.Next()
		m, found := v.Lookup(key)
		if !found {
			r.Null()
			continue
		}
		if size, _ := v.SizeOf(key); !v.Memory.Take(2 * int(size)) { // as it is made, and in the end
			return nil
		}
		payload, err := payloadOf(v.View, key, m)
		if err != nil {
			return err
		}
		ttl := int64(0)
		if m.ExpireAt != 0 {
			ttl = max(m.ExpireAt-v.Time(), 1)
		}
		r.Array(4)
		r.Bulk(payload)
		r.Int(ttl)
		r.Int(int64(m.Version.Index))
		r.Int(int64(m.Version.Op))
	}
	return nil
}

func drop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	if args.Len()%3 != 0 {
		return args.ErrArity()
	}
	r.Array(args.Len() / 3)
	for args.More() {
		key := args.Next()
		index, err := args.NotNegative()
		if err != nil {
			return err
		}
		op, err := args.IntWithin(0, 1<<32-1)
		if err != nil {
			return err
		}
		copied := keyspace.Version{Index: uint64(index), Op: uint32(op)}
		m, found := tx.Lookup(key)
		if found && m.Version != copied {
			r.Int(0)
			continue
		}
		tx.Delete(key)
		r.Int(1)
	}
	return nil
}
