package keys

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/rdb"
	"github.com/genuineh/aikv/node/resp"
)

// dumpCommands returns the rows of DUMP and RESTORE, and of RESTORE as MIGRATE sends it.
func dumpCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "dump", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatKeyspace,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the value of a key in the form that RESTORE takes.", Since: "2.6.0", Group: "generic", Complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1)."},
			Read: dump,
		},
		{
			Name: "restore", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatKeyspace | command.CatDangerous,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}},
			Doc:    command.Doc{Usage: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", Summary: "Creates a key from what DUMP returned.", Since: "2.6.0", Group: "generic", Complexity: restoreComplexity},
			Write:  restore,
			Weight: restoreWeight,
		},
		{
			Name: "restore-asking", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagAsking, ACL: command.CatKeyspace | command.CatDangerous,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}},
			Doc:    command.Doc{Usage: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", Summary: "RESTORE as MIGRATE sends it: also into a slot that is being imported.", Since: "3.0.0", Group: "server", Complexity: restoreComplexity, System: true},
			Write:  restore,
			Weight: restoreWeight,
		},
	}
}

const restoreComplexity = "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N))."

// dump answers with the payload of a value, which does not tell its time of expiry.
func dump(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	m, found := v.Lookup(key)
	if !found {
		r.Null()
		return nil
	}
	if size, _ := v.SizeOf(key); !v.Memory.Take(2 * int(size)) { // as it is made, and in the end
		return nil
	}
	payload, err := payloadOf(v.View, key, m)
	if err != nil {
		return err
	}
	r.Bulk(payload)
	return nil
}

// payloadOf returns the payload of a key's value.
func payloadOf(v *keyspace.View, key []byte, m keyspace.Meta) ([]byte, error) {
	switch m.Type {
	case keyspace.TypeList:
		l, _, err := v.List(key)
		return rdb.EncodeList(l.From(0, false)), err
	case keyspace.TypeSet:
		s, _, err := v.Set(key)
		return rdb.EncodeSet(int(s.Len()), s.Encoding() == "intset", s.Members()), err
	case keyspace.TypeHash:
		return dumpHash(v, key)
	case keyspace.TypeSortedSet:
		return dumpSortedSet(v, key)
	case keyspace.TypeStream:
		return dumpStream(v, key)
	default:
		return rdb.EncodeString(m.Value), nil
	}
}

func dumpHash(v *keyspace.View, key []byte) ([]byte, error) {
	h, _, err := v.Hash(key)
	if err != nil {
		return nil, err
	}
	small := h.Encoding() != "hashtable"
	return rdb.EncodeHash(int(h.Len()), small, h.Soonest(), func(yield func(rdb.Field) bool) {
		h.Each(func(field, value []byte, at int64) bool {
			return yield(rdb.Field{Name: field, Value: value, ExpireAt: at})
		})
	}), nil
}

func dumpSortedSet(v *keyspace.View, key []byte) ([]byte, error) {
	z, _, err := v.SortedSet(key)
	if err != nil {
		return nil, err
	}
	n, small := z.Len(), z.Encoding() == "listpack"
	first := int64(0)
	if !small {
		first = n - 1
	}
	return rdb.EncodeSortedSet(int(n), small, z.From(first, !small)), nil
}

const (
	errBusyKey  = resp.Error("BUSYKEY Target key name already exists.")
	errTTL      = resp.Error("ERR Invalid TTL value, must be >= 0")
	errIdle     = resp.Error("ERR Invalid IDLETIME value, must be >= 0")
	errFreq     = resp.Error("ERR Invalid FREQ value, must be >= 0 and <= 255")
	errChecksum = resp.Error("ERR DUMP payload version or checksum are wrong")
	errPayload  = resp.Error("ERR Bad data format")
	errUnread   = resp.Error("ERR values of modules cannot be restored")
	errTooLarge = resp.Error("ERR the value would take more than 512 MB of memory")
)

// restoreLimit is how many bytes a value may take in memory, about, while RESTORE makes
// it: few bytes of a payload can stand for many.
const restoreLimit = 512 << 20

// restore creates a key from a payload. Whatever is wrong is found before anything is
// changed.
func restore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, ttl, payload := args.Next(), args.Next(), args.Next()
	var o restoreOptions
	if err := o.takeAll(args); err != nil {
		return err
	}
	if _, taken := tx.Lookup(key); taken && !o.replace {
		return errBusyKey
	}
	expireAt, err := o.expireAt(tx, ttl, args)
	if err != nil {
		return err
	}
	value, err := rdb.Decode(payload, rdb.Limits{String: tx.MaxString, Total: restoreLimit})
	if err != nil {
		return restoreError(err)
	}
	if expireAt != 0 && expireAt <= tx.Now() {
		tx.Delete(key)
	} else if err := put(tx, key, value); err != nil {
		return err
	} else if expireAt != 0 {
		tx.SetExpire(key, expireAt)
	}
	r.OK()
	return nil
}

// restoreOptions are those of RESTORE. What IDLETIME and FREQ say of the key is not
// kept: see OBJECT IDLETIME.
type restoreOptions struct{ replace, absolute bool }

func (o *restoreOptions) takeAll(args *command.Args) error {
	idle, freq := false, false
	for args.More() {
		switch {
		case args.Is("replace"):
			o.replace = true
		case args.Is("absttl"):
			o.absolute = true
		case !freq && args.IsWith("idletime", 1):
			idle = true
			if n, err := args.Int(); err != nil {
				return err
			} else if n < 0 {
				return errIdle
			}
		case !idle && args.IsWith("freq", 1):
			freq = true
			if n, err := args.Int(); err != nil {
				return err
			} else if n < 0 || n > math.MaxUint8 {
				return errFreq
			}
		default:
			return command.ErrSyntax
		}
	}
	return nil
}

// expireAt returns when the key expires, 0 for never.
func (o *restoreOptions) expireAt(tx *command.Tx, ttl []byte, args *command.Args) (int64, error) {
	n, ok := command.ParseInt(ttl)
	switch {
	case !ok:
		return 0, command.ErrNotInteger
	case n < 0:
		return 0, errTTL
	case n == 0 || o.absolute:
		return n, nil
	case n > math.MaxInt64-tx.Now():
		return 0, args.ErrExpireTime()
	default:
		return tx.Now() + n, nil
	}
}

// restoreError returns what Redis says of a payload that Decode refuses.
func restoreError(err error) error {
	switch err {
	case rdb.ErrChecksum:
		return errChecksum
	case rdb.ErrType:
		return errUnread
	case rdb.ErrString:
		return command.ErrTooLong
	case rdb.ErrTotal:
		return errTooLarge
	default:
		return errPayload
	}
}

// put makes key the value, whatever it was.
func put(tx *command.Tx, key []byte, value *rdb.Value) error {
	tx.Delete(key)
	switch value.Kind {
	case rdb.String:
		tx.SetString(key, value.Elements[0], 0)
		return nil
	case rdb.List:
		l, err := tx.List(key)
		l.Fill(value.Elements)
		return err
	case rdb.Set:
		s, err := tx.Set(key)
		s.Fill(value.Elements)
		return err
	case rdb.SortedSet:
		z, err := tx.SortedSet(key)
		z.Fill(value.Len(), value.Member)
		return err
	case rdb.Streams:
		return putStream(tx, key, value.Stream)
	default:
		h, err := tx.Hash(key)
		h.Fill(value.Len(), value.Field)
		return err
	}
}

// restoreWeight is what a payload becomes when it is unpacked.
func restoreWeight(args [][]byte) int { return rdb.Unpacked(args[3]) }
