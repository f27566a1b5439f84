package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ldb "github.com/syndtr/goleveldb/leveldb/storage"
)

// Recovery that keeps a true prefix.
//
// goleveldb writes each batch as one record into a journal; a full journal is
// frozen, a new one begun, and the old one removed once its content is in a
// synced table. On opening, it replays the journals that are left. A record it
// cannot read it either skips, with everything else in that block, and goes on
// (leaving a hole in the history) or, in strict mode, refuses to open at all
// (which after a mere power cut is wrong). Neither is what we promise.
//
// So prepareJournals looks at the journals first. Each batch carries the
// sequence number of its first operation, hence each must begin where the one
// before it ended. The first record that is damaged, torn or does not follow
// ends recovery: its journal is cut there, and every later journal is removed.
// What was dropped had never been synced, or was damaged afterwards; in both
// cases the caller sees an older applied index and fetches the rest from the
// Raft log (or finds that the log no longer has it, and refuses to start).

var errShortRecord = errors.New("record is too short")

// formatFile names the marker that says how a database's files are to be read.
// It is durable before goleveldb creates its first file.
const (
	formatFile    = "FORMAT"
	formatPrefix  = "aikv storage "
	formatVersion = 1
)

// prepare makes the database in dir safe to hand to goleveldb. The caller holds
// its lock.
func prepare(dir string, logger *slog.Logger) error {
	_, err := os.Stat(filepath.Join(dir, "CURRENT"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storage: %w", err)
	}
	created := err == nil
	if err := checkFormat(dir, created); err != nil {
		return err
	}
	if !created {
		return prepareFresh(dir)
	}
	name, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	manifest := strings.TrimSuffix(string(name), "\n")
	if !strings.HasPrefix(manifest, "MANIFEST-") || manifest == string(name) {
		return fmt.Errorf("%w: %s: it does not name a manifest", ErrCorrupt, filepath.Join(dir, "CURRENT"))
	}
	// goleveldb renames CURRENT.n to CURRENT; one that is left over was never
	// in force, and CURRENT.bak never is. Without them CURRENT alone decides.
	if err := removePrefixed(dir, "CURRENT."); err != nil {
		return err
	}
	state, err := recoverManifest(filepath.Join(dir, manifest))
	if err != nil {
		return err
	}
	if err := checkTables(dir, state.tables); err != nil {
		return err
	}
	return prepareJournals(dir, state, logger)
}

// checkFormat verifies the format marker, and writes it where there is no
// database yet.
func checkFormat(dir string, created bool) error {
	path := filepath.Join(dir, formatFile)
	want := fmt.Appendf(nil, "%s%d\n", formatPrefix, formatVersion)
	content, err := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("storage: %w", err)
	case !created && bytes.HasPrefix(want, content):
		// Not there, or torn by a crash before anything was stored.
		return writeFileSynced(path, want)
	case err != nil:
		return fmt.Errorf("%w: %s is missing", ErrCorrupt, path)
	}
	var version int
	if _, err := fmt.Sscanf(string(content), formatPrefix+"%d\n", &version); err != nil || version < 1 {
		return fmt.Errorf("%w: %s: not a format marker", ErrCorrupt, path)
	}
	if version > formatVersion {
		return fmt.Errorf("%w: %s says %d, this program reads up to %d", ErrNewerFormat, path, version, formatVersion)
	}
	return nil
}

// prepareFresh clears away what a crash during a database's creation left, so
// that goleveldb creates it anew. Without CURRENT there can be no data yet;
// where there is some, CURRENT was lost.
func prepareFresh(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	var leftovers []string
	for _, entry := range entries {
		name := entry.Name()
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		journal := strings.HasSuffix(name, ".log")
		if strings.HasSuffix(name, ".ldb") || journal && info.Size() > 0 {
			return fmt.Errorf("%w: %s is missing, but %s holds data", ErrCorrupt, filepath.Join(dir, "CURRENT"), name)
		}
		if journal || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "CURRENT.") {
			leftovers = append(leftovers, name)
		}
	}
	for _, name := range leftovers {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	}
	return nil
}

// checkTables verifies that every live table is there in full. Its blocks carry
// checksums that are verified when they are read.
func checkTables(dir string, tables map[int64]int64) error {
	for number, size := range tables {
		path := filepath.Join(dir, ldb.FileDesc{Type: ldb.TypeTable, Num: number}.String())
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("%w: table: %w", ErrCorrupt, err)
		}
		if info.Size() != size {
			return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrCorrupt, path, info.Size(), size)
		}
	}
	return nil
}

// prepareJournals cuts the live journals at the first record that is bad or
// does not follow the one before, and removes the journals after it.
func prepareJournals(dir string, state manifestState, logger *slog.Logger) error {
	numbers, err := liveJournals(dir, state)
	if err != nil {
		return err
	}
	check := sequenceCheck{next: state.seq + 1, first: true}
	for i, number := range numbers {
		path := filepath.Join(dir, journalName(number))
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		good := check.goodPrefix(data)
		if good == len(data) {
			continue
		}
		logger.Warn("database journal ends in a bad record: dropping the rest",
			"file", path, "offset", good, "dropped_bytes", len(data)-good, "dropped_journals", len(numbers)-i-1)
		// Later journals go first: cut off in between, the next recovery finds
		// that the ones still there do not follow, and drops them.
		for _, later := range slices.Backward(numbers[i+1:]) {
			if err := os.Remove(filepath.Join(dir, journalName(later))); err != nil {
				return fmt.Errorf("storage: %w", err)
			}
		}
		return truncateFile(path, int64(good))
	}
	return nil
}

// liveJournals returns the numbers of the journals that goleveldb would replay,
// in its order.
func liveJournals(dir string, state manifestState) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	var numbers []int64
	for _, entry := range entries {
		var number int64
		name := entry.Name()
		if _, err := fmt.Sscanf(name, "%d.log", &number); err != nil || name != journalName(number) {
			continue
		}
		if number >= state.journal || (number == state.prevJournal && number != 0) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func journalName(number int64) string {
	return ldb.FileDesc{Type: ldb.TypeJournal, Num: number}.String()
}

// sequenceCheck verifies over all journals that each batch begins where the one
// before it ended.
type sequenceCheck struct {
	next  uint64
	first bool // no batch seen yet
}

// goodPrefix returns how many bytes of a journal hold batches that follow.
func (c *sequenceCheck) goodPrefix(data []byte) int {
	const batchHeader = 12 // sequence number (8 bytes), count (4), little endian
	reader := journalReader{data: data}
	for {
		end := reader.offset()
		record, ok := reader.next()
		if !ok {
			if reader.damaged() {
				return end
			}
			return len(data)
		}
		if len(record) < batchHeader {
			return end
		}
		seq := binary.LittleEndian.Uint64(record)
		// goleveldb counts one too far when it recovers; if it was interrupted
		// then, the next journal's first batch has the manifest's own number.
		follows := seq == c.next || c.first && seq+1 == c.next
		if !follows {
			return end
		}
		c.first = false
		c.next = seq + uint64(binary.LittleEndian.Uint32(record[8:]))
	}
}

func truncateFile(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func writeFileSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// removePrefixed removes the files of dir whose names begin with prefix.
func removePrefixed(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	}
	return nil
}
