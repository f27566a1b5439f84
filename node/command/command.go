package command

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// Command is one row of the table, or a subcommand of one. Exactly one of
// Read, Write and Local is set; a container such as CLUSTER has Subcommands
// instead, and COMMAND has both. Rows are immutable once NewTable returned.
//
// Handlers get the whole command: args[0] is the name, and for a subcommand
// args[1] the subcommand. They may keep neither args nor what it points to
// beyond the call, and the arity is right.
type Command struct {
	Name  string // lower case; a subcommand's own name, without its parent's
	Arity int    // as Redis counts: with the name (and the subcommand's); negative means "at least"
	Flags Flags
	ACL   Category // categories beyond those that follow from Flags
	Tips  []string // as COMMAND shows them
	Keys  []KeySpec
	Doc   Doc
	// Bounded commands keep to the limit of strings. Older versions logged it as
	// an argument of theirs.
	Bounded bool
	// InMulti commands run between MULTI and EXEC too, at once, as in Redis.
	InMulti bool

	// Read evaluates the command against applied state.
	Read func(tx ReadTx, args [][]byte) resp.Value
	// Write runs inside apply on every data replica, so it is deterministic:
	// no clock (tx.Now is the entry's time), no randomness, no map order.
	Write func(tx *keyspace.Tx, args [][]byte) resp.Value
	// Local answers from this node and the connection alone.
	Local func(ctx context.Context, c *Call, args [][]byte) resp.Value

	Subcommands []*Command

	parent *Command            // set when the table is built
	subs   map[string]*Command // Subcommands by name
	info   resp.Value          // COMMAND's ten fields
	index  int
}

// ReadTx is what a Read handler works with: applied state, and the time.
type ReadTx struct {
	*keyspace.View
	Reading
}

// Reading is what a read brings with it from the node that answers it.
type Reading struct {
	// LocalNow is the reader's clock in unix ms.
	LocalNow int64
	// MaxString is how long a string may be, see package function MaxString.
	MaxString int
	// Memory meters what the read holds; nil: nobody counts.
	Memory *Memory
}

// With returns the view as r sees it.
func With(v *keyspace.View, r Reading) ReadTx { return ReadTx{v, r} }

// Time returns the reader's clock in unix ms. The replicated one, tx.Now, only
// moves with the log, so times to live must not be counted by it.
func (tx ReadTx) Time() int64 { return max(tx.LocalNow, tx.Now()) }

// ReadEmpty evaluates a Read command where there is no data.
func (c *Command) ReadEmpty(args [][]byte, r Reading) resp.Value {
	return c.Read(With(keyspace.Empty(), r), args)
}

// Call is what a Local handler works with. It is for one goroutine.
type Call struct {
	Node    Node
	Session *Session
	Table   *Table
	// Park is how a command waits: it blocks until ready reports true, or until the
	// time is there (zero: for ever), or the node stops. ready is asked at once and
	// after each Wake, which any goroutine may call at any time. An error is the
	// reply: CLIENT UNBLOCK ended the wait, or the client is gone.
	Park func(until time.Time, ready func() bool) error
	Wake func()
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
