package storage

import (
	"encoding/binary"
	"fmt"
	"os"
)

// manifestState is what recovery needs to know from goleveldb's manifest.
type manifestState struct {
	journal     int64           // journals from this number on are live
	prevJournal int64           // and this one, if not 0
	seq         uint64          // sequence number up to which the tables hold everything
	tables      map[int64]int64 // live tables: number to size in bytes
}

// goleveldb's tags of the fields of a manifest record.
const (
	manifestComparer    = 1
	manifestJournal     = 2
	manifestNextFile    = 3
	manifestSeq         = 4
	manifestCompaction  = 5
	manifestDelete      = 6
	manifestAdd         = 7
	manifestPrevJournal = 9
)

// recoverManifest reads the manifest at path and cuts off a torn last record.
// The manifest is synced after each record before anything relies on it, so
// only the last one can be torn by a crash, and then nothing has happened that
// depends on it. Damage anywhere else is an error.
func recoverManifest(path string) (manifestState, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return manifestState{}, fmt.Errorf("storage: %w", err)
	}
	state := manifestState{tables: make(map[int64]int64)}
	reader := journalReader{data: data}
	records := 0
	for {
		record, ok := reader.next()
		if !ok {
			break
		}
		if err := state.apply(record); err != nil {
			return manifestState{}, fmt.Errorf("%w: %s: record %d: %w", ErrCorrupt, path, records, err)
		}
		records++
	}
	if records == 0 {
		return manifestState{}, fmt.Errorf("%w: %s: it has no valid record", ErrCorrupt, path)
	}
	if !reader.damaged() {
		return state, nil
	}
	if reader.recordFollows() {
		return manifestState{}, fmt.Errorf("%w: %s: bad record at offset %d, with good ones after it",
			ErrCorrupt, path, reader.offset())
	}
	return state, truncateFile(path, int64(reader.offset()))
}

// apply adds one record's changes to the state.
func (m *manifestState) apply(record []byte) error {
	d := fieldDecoder{data: record}
	for len(d.data) > 0 && d.err == nil {
		switch tag := d.uvarint(); tag {
		case manifestComparer:
			d.skipBytes()
		case manifestJournal:
			m.journal = int64(d.uvarint())
		case manifestPrevJournal:
			m.prevJournal = int64(d.uvarint())
		case manifestNextFile:
			d.uvarint()
		case manifestSeq:
			m.seq = d.uvarint()
		case manifestCompaction:
			d.uvarint()
			d.skipBytes()
		case manifestDelete:
			d.uvarint()
			delete(m.tables, int64(d.uvarint()))
		case manifestAdd:
			d.uvarint()
			number := int64(d.uvarint())
			m.tables[number] = int64(d.uvarint())
			d.skipBytes()
			d.skipBytes()
		default:
			return fmt.Errorf("unknown field %d", tag)
		}
	}
	return d.err
}

// fieldDecoder reads varints and length-prefixed bytes; err is sticky.
type fieldDecoder struct {
	data []byte
	err  error
}

func (d *fieldDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.err, d.data = errShortRecord, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *fieldDecoder) skipBytes() {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.err, d.data = errShortRecord, nil
		return
	}
	d.data = d.data[n:]
}
