package command

import (
	"sync"
	"sync/atomic"
	"time"
)

// Session is the state of one client connection. The exported plain fields and
// the methods without further notice belong to the goroutine that serves the
// connection; Info and the atomics may be used by any.
type Session struct {
	// ID, Addr, LAddr and Created never change.
	ID          uint64
	Addr, LAddr string // host:port of the client and of our end
	Created     time.Time
	// FD is the socket's file descriptor; 0 if it is not known. It never changes.
	FD int

	// ReadOnly is set by READONLY: reads on a replica are welcome.
	ReadOnly atomic.Bool
	// Asking is set by ASKING for the next command; the front end clears it.
	Asking bool
	// Authenticated says that the connection may run commands. The front end
	// sets it at connect if no password is required.
	Authenticated bool
	// Buffers tells what the connection's buffers hold; nil: nothing. The front
	// end sets it before others see the session. Any goroutine may call it.
	Buffers func() Buffers
	// Transaction tells how it stands with a transaction, as Buffers does.
	Transaction func() TransactionInfo
	// CloseAfterReply asks for the connection to be closed once the reply is out.
	CloseAfterReply bool

	// LastActive is when the last command arrived (unix ms), LastCommand what
	// it was: the front end keeps them for CLIENT LIST.
	LastActive  atomic.Int64
	LastCommand atomic.Pointer[Command]
	// Blocked is set while a command of the session waits.
	Blocked atomic.Bool
	// Monitors is set while the session is told of every command.
	Monitors atomic.Bool
	// Queued is how many commands a transaction has, plus one; 0: there is none.
	// QueuedBytes is what they take.
	Queued, QueuedBytes atomic.Int64

	reply replyMode

	mu              sync.Mutex // guards what follows against other goroutines' Info
	proto           int        // 0 means 2
	name            string
	libName, libVer string
	noEvict         bool
	noTouch         bool
}

// Buffers is what the buffers of a connection hold, and what went through them, in bytes.
type Buffers struct {
	// Query is the part of an unfinished command that has arrived, QueryFree the
	// room for more of it.
	Query, QueryFree int64
	// Output is the replies that the client has yet to take, in OutputPieces
	// pieces.
	Output, OutputPieces int64
	// Received and Sent are all bytes of the connection's, Commands counts its commands.
	Received, Sent, Commands int64
}

// TransactionInfo is what CLIENT LIST tells of a session's transaction.
type TransactionInfo struct {
	Queued   int   // commands; -1: there is no transaction
	Bytes    int64 // that they take
	Watching int   // keys
	Changed  bool  // one of them, as far as this node knows: EXEC will fail
}

type replyMode uint8

const (
	replyOn replyMode = iota
	replyOff
	replySkipThis // CLIENT REPLY SKIP itself
	replySkipNext
)

// Proto returns the protocol version of the connection's replies, 2 or 3.
func (s *Session) Proto() int { return max(s.proto, 2) }

// SetProto changes Proto.
func (s *Session) SetProto(version int) { s.update(func() { s.proto = version }) }

// SetName gives the session a name, SetLibrary one of the facts about its client's
// library that CLIENT SETINFO tells: false if there is none of that kind.
func (s *Session) SetName(name string) { s.update(func() { s.name = name }) }

// SetLibrary is described at SetName.
func (s *Session) SetLibrary(kind, value string) bool {
	field := map[string]*string{"lib-name": &s.libName, "lib-ver": &s.libVer}[kind]
	if field == nil {
		return false
	}
	s.update(func() { *field = value })
	return true
}

// SetNoEvict remembers what CLIENT NO-EVICT asked for.
func (s *Session) SetNoEvict(on bool) { s.update(func() { s.noEvict = on }) }

// SetNoTouch remembers what CLIENT NO-TOUCH asked for.
func (s *Session) SetNoTouch(on bool) { s.update(func() { s.noTouch = on }) }

// SetReplies switches replies on or off, SkipReply those to the next command: see
// SuppressReply.
func (s *Session) SetReplies(on bool) {
	if s.reply = replyOff; on {
		s.reply = replyOn
	}
}

// SkipReply is described at SetReplies.
func (s *Session) SkipReply() {
	if s.reply != replyOff {
		s.reply = replySkipThis
	}
}

// SuppressReply tells whether the reply of the command that just ran must not
// be sent (CLIENT REPLY OFF and SKIP). The front end calls it exactly once
// after every command, also a refused one.
func (s *Session) SuppressReply() bool {
	switch s.reply {
	case replyOff:
		return true
	case replySkipThis:
		s.reply = replySkipNext
		return true
	case replySkipNext:
		s.reply = replyOn
		return true
	default:
		return false
	}
}

// Name returns the name that the client gave itself.
func (s *Session) Name() string { return s.Info().Name }

// Reset puts the connection into the state of a new one, as RESET does.
func (s *Session) Reset(authenticated bool) {
	s.ReadOnly.Store(false)
	s.Asking, s.reply = false, replyOn
	s.Authenticated = authenticated
	s.update(func() { s.proto, s.name, s.noEvict, s.noTouch = 2, "", false, false })
}

func (s *Session) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// SessionInfo is what CLIENT LIST shows of a session.
type SessionInfo struct {
	ID              uint64
	Addr, LAddr     string
	Name            string
	LibName, LibVer string
	Proto           int
	NoEvict         bool
	NoTouch         bool
	FD              int
	ReadOnly        bool
	Blocked         bool // a command waits
	Monitors        bool // it is told of every command
	Created         time.Time
	LastActive      time.Time
	Command         string
	Buffers         Buffers
	Transaction     TransactionInfo
}

// Info returns a picture of the session. Any goroutine may call it.
func (s *Session) Info() SessionInfo {
	info := SessionInfo{
		ID: s.ID, Addr: s.Addr, LAddr: s.LAddr, FD: s.FD, Created: s.Created, Blocked: s.Blocked.Load(),
		Monitors:   s.Monitors.Load(),
		ReadOnly:   s.ReadOnly.Load(),
		LastActive: time.UnixMilli(s.LastActive.Load()), Command: "NULL",
	}
	if info.LastActive.Before(s.Created) {
		info.LastActive = s.Created
	}
	if c := s.LastCommand.Load(); c != nil {
		info.Command = c.FullName()
	}
	if s.Buffers != nil {
		info.Buffers = s.Buffers()
	}
	info.Transaction.Queued = -1
	if s.Transaction != nil {
		info.Transaction = s.Transaction()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Name, info.LibName, info.LibVer, info.NoEvict, info.NoTouch = s.name, s.libName, s.libVer, s.noEvict, s.noTouch
	info.Proto = max(s.proto, 2)
	return info
}

// Sessions are the open client connections of a node. All methods may be
// called concurrently.
type Sessions interface {
	// List returns the sessions by ascending id.
	List() []*Session
	// Kill closes a session's connection; false if it was gone.
	Kill(id uint64) bool
	// CallStats returns what was counted of each command that was called, and
	// ErrorCounts how many replies were errors, by kind; since the start or the last
	// CONFIG RESETSTAT.
	CallStats() []*CallSummary
	ErrorCounts() []ErrorCount
	// SlotLoad counts what commands cost by the slots of their keys; nil while
	// cluster-slot-stats-enabled is off.
	SlotLoad() *SlotLoad
	// Log returns what remembers commands of a kind.
	Log(LogKind) *CommandLog
	// Unblock ends the wait of a session's command, with an error or as if its
	// time were over; false if nothing waits there that may be ended so.
	Unblock(id uint64, withError bool) bool
	// Pause holds back commands, or writes alone, until the time given; the
	// zero time ends a pause.
	Pause(until time.Time, writesOnly bool)
}
