package server

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/wal"
)

// dataDir is the node's data folder:
//
//	FORMAT      the layout's version
//	UNSYNCED    what runs does not sync its log at once, see unsynced
//	RESERVE     space to start with when the disk is full
//	PROMISE     for how long the node has promised its votes, see votePromise
//	INCARNATION which start of the node this is, see metaraft.Lineage
//	wal/        the shared Raft log, and the node's identity in it
//	meta/…/     the applied state of MetaRaft
//	shards/…/   the data of each shard replica
//	attic/…/    the data of shard replicas that were dropped, for a while
type dataDir struct {
	cfg          config.Config
	logger       *slog.Logger
	log          *wal.Log
	unsynced     *unsynced
	meta, shards string
	// openStore opens a database: storage.OpenLevel.
	openStore func(dir string, opts storage.LevelOptions) (storage.Store, error)
	// bulk is told of checkpoints and compactions of shards, see storage.LevelOptions;
	// nil: nobody is.
	bulk func() (done func())
	// recovered is shard.Options' Recovered.
	recovered func(command string, reason any, stack []byte)
	// latency is told of checkpoints and applied entries; nil: nobody is.
	latency *command.LatencyMonitor
}

// dataFormat is the version of the layout that this program writes.
const dataFormat = 1

// openDataDir opens the folder; the log's lock makes it this process's own. fs is
// what the log is written through; nil: wal's default.
func openDataDir(cfg config.Config, logger *slog.Logger, fs wal.FS) (*dataDir, error) {
	root := filepath.Clean(cfg.Storage.DataDir)
	meta, shards := filepath.Join(root, "meta"), filepath.Join(root, "shards")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("cannot use the data folder: %w", err)
	}
	if err := checkFormat(filepath.Join(root, "FORMAT")); err != nil {
		return nil, fmt.Errorf("cannot use the data folder %s: %w", root, err)
	}
	if err := makeFolders(root, meta, shards); err != nil {
		return nil, fmt.Errorf("cannot use the data folder %s: %w", root, err)
	}
	log, err := wal.Open(wal.Options{
		Dir: filepath.Join(root, "wal"), FS: fs,
		SegmentSize: int64(cfg.WAL.SegmentSize), Preallocate: int64(cfg.WAL.Preallocate),
		Sync: syncPolicy(cfg.WAL.Fsync), SyncInterval: time.Duration(cfg.WAL.FsyncInterval),
		Logger: logger,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use the data folder %s: %w", root, err)
	}
	newReserve(root, logger).prepare()
	unsynced, err := findUnsynced(root, cfg.WAL.Fsync, logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the data folder %s: %w", root, err), log.Close())
	}
	return &dataDir{cfg: cfg, logger: logger, log: log, unsynced: unsynced, meta: meta, shards: shards, openStore: openLevel}, nil
}

func openLevel(dir string, opts storage.LevelOptions) (storage.Store, error) {
	return storage.OpenLevel(dir, opts)
}

// makeFolders makes folders inside root and all their names durable: what is
// synced in a folder is lost with a name that is not.
func makeFolders(root string, inside ...string) error {
	for _, dir := range inside {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(syncFolder(filepath.Dir(root)), syncFolder(root))
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// errNewer is returned for a folder that a newer version wrote.
var errNewer = errors.New("it was written by a newer version of aikv")

// checkFormat reads the layout's version, or writes it into a new folder.
func checkFormat(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return writeFormat(path)
	}
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s is damaged", path)
	}
	if version > dataFormat {
		return fmt.Errorf("%w (format %d, this one knows %d)", errNewer, version, dataFormat)
	}
	return nil
}

// writeFormat makes the file durable; its name becomes so with those of the folders
// beside it: see makeFolders.
func writeFormat(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(dataFormat) + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

func syncPolicy(word string) wal.SyncPolicy {
	switch word {
	case config.FsyncInterval:
		return wal.Interval
	case config.FsyncNever:
		return wal.Never
	default:
		return wal.Always
	}
}

// openShard opens the database of a shard replica.
func (d *dataDir) openShard(dir string) (storage.Store, error) {
	s := d.cfg.Storage
	return d.openStore(dir, storage.LevelOptions{
		WriteBuffer: int(s.WriteBuffer), BlockCache: orNone(int(s.BlockCache)), BloomBits: orNone(s.BloomBits),
		Logger: d.logger, Bulk: d.bulk,
	})
}

// attic is where the data of dropped replicas goes.
func (d *dataDir) attic() replica.Attic {
	s := d.cfg.Storage
	return replica.Attic{
		Dir:  filepath.Join(filepath.Dir(d.shards), "attic"),
		Keep: time.Duration(s.AtticKeep), MinFree: int64(s.AtticFree), Free: freeBytes,
	}
}

// freeBytes returns how much of a folder's disk can still be written.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// diskSize returns how many bytes the disk of a folder has in all.
func diskSize(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("the size of the disk of %s: %w", dir, err)
	}
	return int64(s.Blocks) * int64(s.Bsize), nil
}

func (d *dataDir) shardOptions() shard.Options {
	s := &d.cfg.Storage
	return shard.Options{
		Keyspace: keyspace.Options{
			CacheBytes: int64(orNone(int(s.CacheSize))), DirtyBytes: int64(s.DirtySize), CheckpointInterval: time.Duration(s.CheckpointInterval),
			Written: func(took time.Duration) { d.latency.Took(command.EventCheckpoint, took) },
		},
		Recovered: d.recovered,
		Applied:   func(took time.Duration) { d.latency.Took(command.EventApply, took) },
	}
}

// orNone turns the configuration's 0 for "none" into the libraries' -1.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// openMeta opens the small database of a MetaRaft replica.
func (d *dataDir) openMeta(dir string) (storage.Store, error) {
	return d.openStore(dir, storage.LevelOptions{WriteBuffer: 256 << 10, BlockCache: -1, BloomBits: -1, Logger: d.logger})
}

// close closes the log after a clean stop, which syncs it.
func (d *dataDir) close() error {
	if err := d.log.Close(); err != nil {
		return err
	}
	return d.unsynced.clear()
}

// release gives the folder up after a failure, without writing.
func (d *dataDir) release() { _ = d.log.Close() }

// randomID returns a random number that is not 0.
func randomID() uint64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}
