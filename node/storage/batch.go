package storage

import "github.com/syndtr/goleveldb/leveldb"

// Batch is a list of puts and deletes that Store.Write applies atomically and
// in order, so a later operation on a key wins. The zero value is empty. A
// Batch is used by one goroutine at a time and may be reused after Reset.
type Batch struct{ ops leveldb.Batch }

// Put sets key to value. Both are copied.
func (b *Batch) Put(key, value []byte) { b.ops.Put(key, value) }

// Delete removes key; removing a key that is not there does nothing.
func (b *Batch) Delete(key []byte) { b.ops.Delete(key) }

// Len returns the number of operations.
func (b *Batch) Len() int { return b.ops.Len() }

// Size returns about how many bytes the operations take, in memory and in the
// store's log.
func (b *Batch) Size() int { return len(b.ops.Dump()) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.ops.Reset() }

// Replay calls put or del for each operation in order. The slices are valid
// until the batch is reset and must not be changed.
func (b *Batch) Replay(put func(key, value []byte), del func(key []byte)) {
	// leveldb's Replay has an error result but no way to produce one.
	_ = b.ops.Replay(replayer{put, del})
}

// replayer turns two functions into leveldb's BatchReplay.
type replayer struct {
	put func(key, value []byte)
	del func(key []byte)
}

func (r replayer) Put(key, value []byte) { r.put(key, value) }
func (r replayer) Delete(key []byte)     { r.del(key) }
