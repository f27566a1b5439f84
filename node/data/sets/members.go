package sets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

func sadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	set, err := tx.Set(args.Next())
	if err != nil {
		return err
	}
	members := args.Rest()
	set.Expect(len(members))
	r.Int(set.Add(members...))
	return nil
}

// saddIdle answers where all members are there.
func saddIdle(v *command.View, args *command.Args, r *resp.Reply) bool {
	set, found, err := v.Set(args.Next())
	if err != nil || !found {
		return false
	}
	for args.More() {
		if !set.Has(args.Next()) {
			return false
		}
	}
	r.Int(0)
	return true
}

func srem(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	set, err := tx.Set(args.Next())
	if err != nil {
		return err
	}
	r.Int(set.Delete(args.Rest()...))
	return nil
}

func scard(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.Set(args.Next())
	if err != nil {
		return err
	}
	r.Int(set.Len())
	return nil
}

func sismember(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.Set(args.Next())
	if err != nil {
		return err
	}
	writeHas(r, set.Has(args.Next()))
	return nil
}

func smismember(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.Set(args.Next())
	if err != nil {
		return err
	}
	members := args.Rest()
	r.Array(len(members))
	for _, member := range members {
		if r.Full() {
			break
		}
		writeHas(r, set.Has(member))
	}
	return nil
}

func writeHas(r *resp.Reply, has bool) {
	if has {
		r.Int(1)
	} else {
		r.Int(0)
	}
}

func smembers(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.Set(args.Next())
	if err != nil {
		return err
	}
	r.Set(int(set.Len()))
	for member := range set.Members() {
		if r.Full() {
			break
		}
		r.Bulk(member)
	}
	return nil
}

// smove looks at what the destination holds only if there is a source.
func smove(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	source, destination, member := args.Next(), args.Next(), args.Next()
	from, err := tx.Set(source)
	if err != nil {
		return err
	}
	if from.Len() == 0 {
		r.Int(0)
		return nil
	}
	to, err := tx.Set(destination)
	if err != nil {
		return err
	}
	has := from.Has(member)
	if has && string(source) != string(destination) {
		from.Delete(member)
		to.Add(member)
	}
	writeHas(r, has)
	return nil
}

// sscan looks at its options only if the key is there, as Redis does.
func sscan(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	cursor, err := args.Cursor()
	if err != nil {
		return err
	}
	set, found, err := v.Set(key)
	if err != nil {
		return err
	}
	var o command.ScanOptions
	if found {
		if err := o.TakeAll(args); err != nil {
			return err
		}
	}
	at, n := r.Here(), 0
	next := set.Scan(cursor, o.Count(), func(member []byte) {
		if o.Matches(member) {
			r.Bulk(member)
			n++
		}
	})
	r.ScannedAt(at, next, n)
	return nil
}
