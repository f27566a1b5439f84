package command

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The commands that are remembered: those that ran for long, those that were large, and
// those with a large reply.
const (
	LogSlow LogKind = iota
	LogLargeRequest
	LogLargeReply
	LogKinds int = iota
)

// LogKind is a kind of log: LogSlow, LogLargeRequest or LogLargeReply.
type LogKind int

// CommandLog remembers the latest commands of one kind. All methods may be called
// concurrently.
type CommandLog struct {
	mu      sync.Mutex
	most    int
	next    int64
	entries []LogEntry // the oldest first
}

// LogEntry is a command that was remembered.
type LogEntry struct {
	ID   int64
	At   time.Time
	Cost int64 // microseconds, or bytes
	Args [][]byte
	// Addr and Name are those of the client.
	Addr, Name string
}

// Of a command with many arguments, or long ones, the log has a part.
const (
	maxLogArgs = 32
	maxLogArg  = 128
)

// SetMost bounds how many entries there are, from the next one on.
func (l *CommandLog) SetMost(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = n
}

// Add remembers a command; e has all but the id. Its arguments are copied.
func (l *CommandLog) Add(e LogEntry) {
	e.Args = logged(e.Args)
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = l.next
	l.next++
	if over := len(l.entries) + 1 - l.most; over > 0 {
		l.entries = slices.Delete(l.entries, 0, min(over, len(l.entries)))
	}
	if l.most > 0 {
		l.entries = append(l.entries, e)
	}
}

// logged copies what the log has of arguments.
func logged(args [][]byte) [][]byte {
	kept := make([][]byte, 0, min(len(args), maxLogArgs))
	for i, arg := range args {
		if i == maxLogArgs-1 && len(args) > maxLogArgs {
			return append(kept, fmt.Appendf(nil, "... (%d more arguments)", len(args)-maxLogArgs+1))
		}
		if over := len(arg) - maxLogArg; over > 0 {
			kept = append(kept, fmt.Appendf(bytes.Clone(arg[:maxLogArg]), "... (%d more bytes)", over))
		} else {
			kept = append(kept, bytes.Clone(arg))
		}
	}
	return kept
}

// Latest returns up to n entries, the newest first.
func (l *CommandLog) Latest(n int) []LogEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.entries))
	latest := slices.Clone(l.entries[len(l.entries)-n:])
	slices.Reverse(latest)
	return latest
}

// Len returns how many entries there are, Reset forgets them.
func (l *CommandLog) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Reset is described at Len.
func (l *CommandLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// redacted stands for what nobody else may read.
var redacted = []byte("(redacted)")

// Redacted returns the arguments of a whole command as others may see them; they share
// memory with args.
func (c *Command) Redacted(args [][]byte) [][]byte {
	if c.Secrets == nil {
		return args
	}
	shown := slices.Clone(args)
	c.Secrets(args, func(i int) {
		if i < len(shown) {
			shown[i] = redacted
		}
	})
	return shown
}
