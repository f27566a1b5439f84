package keys

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// digestCommands returns the row of the internal command behind DEBUG DIGEST-VALUE, by
// which redis-cli sees whether two servers have the same.
func digestCommands() []*command.Command {
	return []*command.Command{{
		Name: command.DigestName, Arity: -2, Flags: command.FlagReadOnly, Unjudged: true,
		Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
		Read: digestValues,
	}}
}

// digest is Redis's digest of a value: equal values have equal ones, whatever the order of
// what has none.
type digest [sha1.Size]byte

// add adds what may come in any order, mix what may not.
func (d *digest) add(b []byte) {
	for i, x := range sha1.Sum(b) {
		d[i] ^= x
	}
}

func (d *digest) mix(b []byte) {
	d.add(b)
	*d = sha1.Sum(d[:])
}

// pair adds two values that belong together.
func (d *digest) pair(a, b []byte) {
	var one digest
	one.mix(a)
	one.mix(b)
	d.add(one[:])
}

func digestValues(v *command.View, args *command.Args, r *resp.Reply) error {
	r.Array(args.Len())
	for args.More() && !r.Full() {
		var d digest
		key := args.Next()
		if m, found := v.Lookup(key); found {
			if err := d.value(v.View, key, m); err != nil {
				return err
			}
			if m.ExpireAt != 0 {
				d.add([]byte("!!expire!!"))
			}
		}
		r.Simple(hex.EncodeToString(d[:]))
	}
	return nil
}

// value digests a key's value.
func (d *digest) value(v *keyspace.View, key []byte, m keyspace.Meta) error {
	kinds := map[keyspace.Type]uint32{ // Redis's numbers
		keyspace.TypeString: 0, keyspace.TypeList: 1, keyspace.TypeSet: 2, keyspace.TypeSortedSet: 3, keyspace.TypeHash: 4, keyspace.TypeStream: 6,
	}
	d.mix(binary.BigEndian.AppendUint32(nil, kinds[m.Type]))
	switch m.Type {
	case keyspace.TypeList:
		l, _, err := v.List(key)
		for element := range l.From(0, false) {
			d.mix(element)
		}
		return err
	case keyspace.TypeSet:
		s, _, err := v.Set(key)
		for member := range s.Members() {
			d.add(member)
		}
		return err
	case keyspace.TypeSortedSet:
		z, _, err := v.SortedSet(key)
		for member, score := range z.From(0, false) {
			d.pair(member, resp.AppendDouble(nil, score))
		}
		return err
	case keyspace.TypeHash:
		h, _, err := v.Hash(key)
		if err == nil {
			h.Each(func(field, value []byte, _ int64) bool {
				d.pair(field, value)
				return true
			})
		}
		return err
	case keyspace.TypeStream:
		return d.stream(v, key)
	default:
		d.mix(m.Value)
		return nil
	}
}

func (d *digest) stream(v *keyspace.View, key []byte) error {
	s, _, err := v.Stream(key)
	if err != nil {
		return err
	}
	for e := range s.Entries(keyspace.StreamID{}, keyspace.MaxStreamID, false) {
		d.mix([]byte(strconv.FormatUint(e.ID.MS, 10) + "." + strconv.FormatUint(e.ID.Seq, 10)))
		for text := range e.Texts {
			d.mix(text)
		}
	}
	return nil
}
