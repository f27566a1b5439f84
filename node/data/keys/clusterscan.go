package keys

import (
	"bytes"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

const (
	errCursor       = resp.Error("ERR Invalid cursor")
	errSlotRange    = resp.Error("ERR Invalid or out of range slot")
	errCursorSlot   = resp.Error("ERR Cursor slot mismatch with SLOT argument")
	errSeveralSlots = resp.Error("ERR SLOT option can only be specified once")
)

// scanMark is what a cursor of CLUSTERSCAN begins with that stands within a slot. Others
// have that of a Valkey node, or "0": they begin their slot.
const scanMark = "a"

// clusterScan walks over all keys of a cluster: a cursor is a mark, a hash tag of the slot
// that it is in, by which clients know where to send it, and the place in that slot,
// which is SCAN's and holds on every node of the shard. A call goes on through the slots
// that follow as long as they are this shard's.
func clusterScan(v *command.View, args *command.Args, r *resp.Reply) error {
	cursor := args.Next()
	o, err := takeClusterScan(args)
	if err != nil {
		return err
	}
	if len(cursor) == 1 && cursor[0] == '0' {
		r.ScannedTextAt(r.Here(), slotCursor(uint16(max(o.slot, 0)), 0), 0)
		return nil
	}
	s, place, ok := parseCursor(cursor)
	switch {
	case !ok:
		return errCursor
	case o.slot >= 0 && o.slot != int64(s):
		return errCursorSlot
	}
	end := s + 1
	for o.slot < 0 && end < slot.Count && v.Owns(end) {
		end++
	}
	at, found := r.Here(), 0
	next := v.ScanBelow(end, max(place, keyspace.SlotCursor(s)), o.Count(), func(key []byte, m keyspace.Meta) {
		if o.Matches(key) && (o.typeName == nil || command.Is(o.typeName, m.Type.String())) {
			r.Bulk(key)
			found++
		}
	})
	text := []byte("0")
	if next != 0 {
		s, _ = keyspace.CursorSlot(next)
		text = slotCursor(s, next)
	} else if o.slot < 0 && end < slot.Count {
		text = slotCursor(end, 0)
	}
	r.ScannedTextAt(at, text, found)
	return nil
}

// slotCursor is the cursor that stands at a place in a slot; 0: at its beginning.
func slotCursor(s uint16, place uint64) []byte {
	mark := scanMark
	if place == 0 {
		mark = "0"
	}
	return strconv.AppendUint([]byte(mark+"-{"+slot.Tag(s)+"}-"), place, 10)
}

// parseCursor reads a cursor. place is where to begin, in this slot, 0: with the slot.
func parseCursor(cursor []byte) (s uint16, place uint64, ok bool) {
	first := bytes.IndexByte(cursor, '-')
	last := bytes.LastIndexByte(cursor, '-')
	if first <= 0 || last == first {
		return 0, 0, false
	}
	place, err := strconv.ParseUint(string(cursor[last+1:]), 10, 64)
	if err != nil {
		return 0, 0, false
	}
	s = slot.Of(cursor)
	if at, known := keyspace.CursorSlot(place); string(cursor[:first]) != scanMark || !known || at != s {
		place = 0
	}
	return s, place, true
}

// clusterScanOptions are those of SCAN, and SLOT.
type clusterScanOptions struct {
	command.ScanOptions
	typeName []byte // nil: all
	slot     int64  // -1: all
}

func takeClusterScan(args *command.Args) (o clusterScanOptions, err error) {
	o.slot = -1
	for args.More() {
		taken, err := o.Take(args)
		switch {
		case err != nil:
			return o, err
		case taken:
		case args.IsWith("type", 1):
			if o.typeName = args.Next(); !knownType(o.typeName) {
				return o, command.Errorf("unknown type name '%s'", command.Printable(o.typeName, 128))
			}
		case args.IsWith("slot", 1):
			n, err := args.Int()
			switch {
			case err != nil || n < 0 || n >= slot.Count:
				return o, errSlotRange
			case o.slot >= 0:
				return o, errSeveralSlots
			}
			o.slot = n
		default:
			return o, command.ErrSyntax
		}
	}
	return o, nil
}

// knownType reports whether values have a type of that name.
func knownType(name []byte) bool {
	for t := keyspace.TypeString; t <= keyspace.TypeStream; t++ {
		if command.Is(name, t.String()) {
			return true
		}
	}
	return false
}
