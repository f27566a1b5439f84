package shard

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/genuineh/aikv/node/keyspace"
)

// Hash returns a digest of everything that replicas at the same applied index
// must agree on: keys, values, expiries, versions, and owned slots.
func (m *Machine) Hash() ([sha256.Size]byte, error) {
	h := sha256.New()
	var b []byte
	tx := m.keys.View(0)
	defer tx.Close()
	tx.Each(func(key []byte, meta keyspace.Meta) bool {
		b = binary.AppendUvarint(b[:0], uint64(len(key)))
		b = append(b, key...)
		b = append(b, byte(meta.Type))
		b = binary.AppendVarint(b, meta.ExpireAt)
		b = binary.AppendUvarint(b, meta.Version.Index)
		b = binary.AppendUvarint(b, uint64(meta.Version.Op))
		b = binary.AppendUvarint(b, uint64(len(meta.Value)))
		b = append(b, meta.Value...)
		h.Write(b)
		return true
	})
	if err := tx.Err(); err != nil {
		return [sha256.Size]byte{}, err
	}
	table := new(slotTable)
	for n := range table {
		table[n] = m.owned.at(uint16(n))
	}
	h.Write(table.encode())
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(tx.Now())))
	return [sha256.Size]byte(h.Sum(nil)), nil
}
