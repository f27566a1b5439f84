package shard

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash returns a digest of everything that replicas at the same applied index
// must agree on: keys, values of all types to the last element, expiries,
// versions, the clock, owned slots and marks, and what is known of slots that move.
func (m *Machine) Hash() ([sha256.Size]byte, error) {
	h := sha256.New()
	view := m.keys.View(0)
	defer view.Close()
	if err := view.Digest(h); err != nil {
		return [sha256.Size]byte{}, err
	}
	table := new(slotTable)
	for n := range table {
		table[n] = m.owned.at(uint16(n))
	}
	h.Write(table.encode())
	h.Write(m.published.Load().encode())
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(view.Now())))
	return [sha256.Size]byte(h.Sum(nil)), nil
}
