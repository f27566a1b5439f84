package keyspace

import (
	"encoding/binary"
	"io"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// Digest writes everything that makes the live keys what they are to w, in an
// order and a form that depend on nothing else: two keyspaces whose digests are
// the same bytes answer alike. Of slots that are hidden it has the records of keys, and
// of change logs what is in them. An error of w ends it, and is returned.
func (v *View) Digest(w io.Writer) error {
	b := v.moves().encode()
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := v.digestMoves(w); err != nil {
		return err
	}
	walk := v.walk([]byte{classKey}, []byte{classKey + 1})
	defer walk.release()
	for walk.next() {
		if !v.live(walk.rec) {
			continue
		}
		b = appendDigest(b[:0], walk.rec)
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := v.digestPages(w, walk.rec); err != nil {
			return err
		}
	}
	return v.Err()
}

// digestMoves writes what Digest does of slots that move.
func (v *View) digestMoves(w io.Writer) error {
	m := v.moves()
	if m == nil {
		return nil
	}
	ranges := make([][2][]byte, 0, len(m.watches))
	for i := range m.watches {
		if log := m.watches[i].log; !m.watches[i].lost {
			prefix := log.append(nil, byPlace)
			ranges = append(ranges, [2][]byte{prefix, prefixEnd(prefix)})
		}
	}
	for _, run := range m.hidden.Ranges() {
		lower, upper := recordRange(classKey, run)
		ranges = append(ranges, [2][]byte{lower, upper})
	}
	var b []byte
	for _, r := range ranges {
		walk := v.walkRecords(r[0], r[1])
		for walk.Next() {
			b = binary.AppendUvarint(b[:0], uint64(len(walk.Key())))
			b = append(append(b, walk.Key()...), walk.Value()...)
			if _, err := w.Write(b); err != nil {
				walk.Release()
				return err
			}
		}
		walk.Release()
	}
	return v.Err()
}

// digestPages writes the items of a big value's trees.
func (v *View) digestPages(w io.Writer, rec *record) error {
	id, ok := rec.object()
	if !ok {
		return nil
	}
	pages := v.pages(rec.stored.slot(), id)
	var b []byte
	var failed error
	for _, root := range rec.roots() {
		v.fail(tree.NewView(pages, root).Ascend(0, func(key, value []byte) bool {
			b = append(binary.AppendUvarint(b[:0], uint64(len(key))), key...)
			b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
			_, failed = w.Write(b)
			return failed == nil
		}))
	}
	return failed
}

func appendDigest(b []byte, rec *record) []byte {
	key := rec.stored.key()
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = append(b, byte(rec.meta.Type), byte(rec.meta.Flags))
	b = binary.AppendVarint(b, rec.meta.ExpireAt)
	b = binary.AppendUvarint(b, rec.meta.Version.Index)
	b = binary.AppendUvarint(b, uint64(rec.meta.Version.Op))
	b = binary.AppendUvarint(b, uint64(len(rec.body)))
	return append(b, rec.body...)
}
