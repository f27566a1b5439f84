package keyspace

import (
	"encoding/binary"
	"io"
)

// Digest writes everything that makes the live keys what they are to w, in an
// order and a form that depend on nothing else: two keyspaces whose digests are
// the same bytes answer alike. An error of w ends it, and is returned.
func (v *View) Digest(w io.Writer) error {
	var b []byte
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
	}
	return v.Err()
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
