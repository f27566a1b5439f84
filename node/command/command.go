package command

import (
	"context"
	"math"
	"time"

	"github.com/genuineh/aikv/node/resp"
)

// Command is one row of the table, or a subcommand of one. Exactly one of
// Read, Write and Local is set; a container such as CLUSTER has Subcommands
// instead, and COMMAND has both. MULTI, EXEC and DISCARD have none: they are the
// front end's. Rows are immutable once NewTable returned.
//
// A handler writes its reply, or returns an error, which becomes the reply in place of
// what was written. An error is Redis's own text, a resp.Error; any other is shown
// behind ERR. It may keep neither args nor what they point to beyond the call; there
// are as many as Arity says.
type Command struct {
	Name  string // lower case; a subcommand's own name, without its parent's
	Arity int    // as Redis counts: with the name (and the subcommand's); negative means "at least"
	Flags Flags
	ACL   Category // categories beyond those that follow from Flags
	Tips  []string // as COMMAND shows them
	Keys  []KeySpec
	Doc   Doc
	// Multi says what becomes of the command between MULTI and EXEC.
	Multi Multi
	// SwitchesTo, if set, returns to which protocol version the command would change its
	// connection: 0 if to none.
	SwitchesTo func(args *Args) int
	// InPause commands run while CLIENT PAUSE holds others back.
	InPause bool
	// Unjudged commands run on a slot that is being moved key by key whatever keys are
	// there: they are what moves them.
	Unjudged bool
	// Asks makes a command with keys run on a slot that is being imported, too, as if its
	// client had sent ASKING.
	Asks bool
	// OwnTime says that a Local handler bounds its time by itself.
	OwnTime bool
	// Secrets, if set, calls hide with the index of each argument of a whole command that
	// nobody else may read.
	Secrets func(args [][]byte, hide func(i int))
	// KeepsAsking commands leave ASKING to the command behind them.
	KeepsAsking bool

	// Read evaluates the command against applied state.
	Read func(v *View, args *Args, r *resp.Reply) error
	// Write runs inside apply on every data replica, so it is deterministic: the time
	// is tx.Now, randomness tx.Rand, and nothing depends on the order of a map. On
	// replicas nobody waits for the reply: r discards it.
	Write func(tx *Tx, args *Args, r *resp.Reply) error
	// Local answers from this node and the connection alone.
	Local func(ctx context.Context, e *Env, args *Args, r *resp.Reply) error
	// Writes, in a row that has both Read and Write, says by the whole command which
	// of them runs.
	Writes func(args [][]byte) bool
	// Blocks, in a row whose command may wait until a key holds something, says for
	// what. Its Write pops, or answers null where there is nothing, as in a transaction;
	// nothing that it pops is null. Its Read does not answer clients: it looks whether
	// there is something, and tells View.Found. A row without Write takes nothing: its Read
	// answers, with null where there is nothing.
	Blocks *Blocks

	// Returns, in a row that writes and answers with what keys held, tells before it
	// runs about how many bytes that will be: what a client is to be told must find room,
	// or the command must not run. look returns the present state. Nil: few.
	Returns func(args *Args, look func() *View) int64

	// Idle, in a row that writes, answers the command where it would change nothing (a
	// member is there already, a key is not there), and reports whether that is so; if
	// not, what it wrote to r is dropped. Such a write needs no log: it is a read. Idle
	// may say no for any reason. Nil: it always goes through the log.
	Idle func(v *View, args *Args, r *resp.Reply) bool

	// Weight, if set, says how many bytes a Write may make beyond those of its arguments,
	// which are the whole command, and beside the value that a key has already: at most.
	// nil: none.
	Weight func(args [][]byte) int

	Subcommands []*Command

	parent *Command            // set when the table is built
	subs   map[string]*Command // Subcommands by name
	index  int
}

// Multi is what a command is to a transaction.
type Multi uint8

// What a command is to a transaction.
const (
	MultiQueued  Multi = iota // it waits for EXEC
	MultiAtOnce               // it runs at once
	MultiRefused              // it is refused, and so is the transaction
	MultiBegin                // MULTI
	MultiExec                 // EXEC
	MultiDiscard              // DISCARD
	MultiWatch                // WATCH
)

// frontEnds reports whether the front end carries the command out by itself.
func (m Multi) frontEnds() bool { return m == MultiBegin || m == MultiExec || m == MultiDiscard }

// WritesWith reports whether the whole command args, which names c, goes through the
// log; else it is a read, if it is not Local.
func (c *Command) WritesWith(args [][]byte) bool {
	return c.Write != nil && (c.Read == nil || c.Blocks != nil || c.Writes(args))
}

// UnknownWeight is what a command weighs that copies values whose size it does not say:
// each goes by itself.
const UnknownWeight = math.MaxInt32

// Copies is the Weight of such commands.
func Copies([][]byte) int { return UnknownWeight }

// Env is what a Local handler works with beside its arguments. It is for one
// goroutine.
type Env struct {
	Session *Session
	Table   *Table
	// Park is how a command waits: it blocks until ready reports true, or until the
	// time is there (zero: for ever), or the node stops. ready is asked at once and
	// after each Wake, which any goroutine may call at any time. An error is the
	// reply: CLIENT UNBLOCK ended the wait, or the client is gone.
	Park func(until time.Time, ready func() bool) error
	Wake func()
	// OnData runs an internal command on data, wherever it belongs, as a client's that has
	// sent ASKING, and returns its reply. An error is what the client is to be told: MOVED,
	// say. What it has read counts against the server's memory until the Local command is
	// over.
	OnData func(args [][]byte) (resp.Value, error)
	// Hold keeps all writes to keys, which are of one slot, back until release is called:
	// those that were submitted before have run when it returns. It is exact as long as
	// this node leads the keys' shard, which a version of a key can tell.
	Hold func(ctx context.Context, keys [][]byte) (release func(), err error)
	// Monitor has the connection told from now on of every command that the node runs;
	// an error is the reply. begun is false if it is told already. EndMonitor ends that.
	Monitor    func() (begun bool, err error)
	EndMonitor func()
	// Unwatch forgets all watched keys, Discard the transaction that MULTI has begun,
	// too.
	Unwatch, Discard func()
}

// Doc is what COMMAND DOCS says.
type Doc struct {
	Usage      string // the arguments
	Summary    string
	Since      string // the Redis version that has it; AiKv's own commands say "aikv"
	Group      string
	Complexity string
	// DeprecatedSince, if not empty, marks a command that Redis advises against.
	DeprecatedSince string
	ReplacedBy      string
	// System marks a command that is meant for the nodes themselves.
	System bool
}

// FullName returns the name as Redis prints it: "cluster|addslots".
func (c *Command) FullName() string {
	if c.parent != nil {
		return c.parent.Name + "|" + c.Name
	}
	return c.Name
}

// Index is the row's place in Table.Rows.
func (c *Command) Index() int { return c.index }

// Flags are a command's flags, in the order in which COMMAND shows them.
type Flags uint32

// Redis's command flags.
const (
	FlagWrite Flags = 1 << iota
	FlagReadOnly
	FlagDenyOOM
	FlagModule
	FlagAdmin
	FlagPubSub
	FlagNoScript
	FlagBlocking
	FlagLoading
	FlagStale
	FlagSkipMonitor
	FlagSkipSlowlog
	FlagAsking
	FlagFast
	FlagNoAuth
	FlagMayReplicate
	FlagNoMandatoryKeys
	FlagNoAsyncLoading
	FlagNoMulti
	FlagMovableKeys
	FlagAllowBusy
)

func (f Flags) names() []string {
	return names(uint64(f), []string{
		"write", "readonly", "denyoom", "module", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
		"skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys",
		"no_async_loading", "no_multi", "movablekeys", "allow_busy",
	})
}

// Category is a set of ACL categories, in the order in which COMMAND shows them.
type Category uint32

// Redis's ACL categories.
const (
	CatKeyspace Category = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
)

// Names returns the categories as Redis shows them.
func (c Category) Names() []string { return names(uint64(c), categoryNames()) }

func categoryNames() []string {
	return []string{
		"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
		"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
	}
}

// Categories returns the command's ACL categories: its own and those that
// follow from its flags.
func (c *Command) Categories() Category {
	cat := c.ACL
	follows := []struct {
		flag Flags
		cat  Category
	}{
		{FlagWrite, CatWrite},
		{FlagAdmin, CatAdmin | CatDangerous},
		{FlagPubSub, CatPubSub},
		{FlagFast, CatFast},
		{FlagBlocking, CatBlocking},
	}
	for _, f := range follows {
		if c.Flags&f.flag != 0 {
			cat |= f.cat
		}
	}
	if c.Flags&FlagReadOnly != 0 && cat&CatScripting == 0 {
		cat |= CatRead
	}
	if cat&CatFast == 0 {
		cat |= CatSlow
	}
	return cat
}

// names returns the texts of the bits that are set, lowest first.
func names(bits uint64, texts []string) []string {
	var set []string
	for i, text := range texts {
		if bits&(1<<i) != 0 {
			set = append(set, text)
		}
	}
	return set
}
