package transport

import "sync"

// queue holds the frames of one link that gRPC has not yet taken over. It only
// accepts frames while it is open, that is while the link's stream stands.
type queue struct {
	maxFrames, maxBytes int
	wake                chan struct{} // holds a token when frames may be waiting

	mu     sync.Mutex
	opened bool
	frames [][]byte
	count  int // frames, including those taken and not yet released
	bytes  int // their size
}

func newQueue(maxFrames, maxBytes int) *queue {
	return &queue{maxFrames: maxFrames, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// push appends frame, or reports false if the queue is closed or full. A frame
// larger than the whole queue is let through an empty one.
func (q *queue) push(frame []byte) bool {
	q.mu.Lock()
	if !q.opened || q.count >= q.maxFrames || (q.count > 0 && q.bytes+len(frame) > q.maxBytes) {
		q.mu.Unlock()
		return false
	}
	q.frames = append(q.frames, frame)
	q.count++
	q.bytes += len(frame)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns all waiting frames; spare is an emptied slice to go on with.
func (q *queue) take(spare [][]byte) [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	frames := q.frames
	q.frames = spare[:0]
	return frames
}

// release counts a taken frame of size bytes as gone.
func (q *queue) release(size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count--
	q.bytes -= size
}

func (q *queue) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened = true
}

// close drops all frames and refuses new ones. Only the goroutine that takes
// and releases may call it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened, q.frames, q.count, q.bytes = false, nil, 0, 0
}

func (q *queue) size() (frames, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.bytes
}
