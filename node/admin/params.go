package admin

// paramKind tells which values a parameter can have in Redis.
type paramKind uint8

const (
	textParam        paramKind = iota
	booleanParam               // yes, no
	integerParam               // low <= n <= high
	memoryParam                // bytes, with a unit such as 64mb, low <= n <= high unless that is 0
	enumParam                  // one of words
	outputLimitParam           // see OutputLimits
	immutableParam             // known, and not changed while the node runs
	protectedParam             // the same, with another text
)

// param is a configuration parameter of Redis. CONFIG SET of one either acts or is
// refused, unless the value says what the node does anyway: the one that it has, the
// one that it started with, or same ("*": any).
type param struct {
	name      string
	value     string // at the start, unless the node gives another one
	kind      paramKind
	low, high int64
	words     string // of an enumParam, separated by ", "
	// parse, if set, stands for kind: it returns the value as CONFIG GET shows it,
	// or why Redis refuses it.
	parse func(text string) (value, why string)

	acts   bool
	same   string
	why    string // what a client is told whose value asks for something else
	hidden bool   // CONFIG GET shows it by its full name alone
}

// allows reports whether the node does what value says without acting upon it.
func (p *param) allows(value, current, initial string) bool {
	return value == current || value == initial || p.same != "" && (p.same == "*" || value == p.same)
}

// Why values are refused, by what AiKv lacks or does otherwise.
const (
	whyEviction = "AiKv has no memory limit and evicts nothing"
	whyLayout   = "AiKv lays values out by sizes of its own"
	whyLink     = "the queue to another node is bounded, and not by this"
	whyListen   = "set in the configuration, at the start"
	whyLog      = "AiKv has no append-only file: writes are in the Raft log, synced as wal.fsync of the configuration says"
	whyMemory   = "AiKv's memory is Go's, which needs no defragmenting or freeing by hand"
	whyMessages = "AiKv has no pub/sub, keyspace events and client tracking yet"
	whyMoves    = "AiKv hands slots over when little is left to copy, and remembers the last 32 migrations"
	whyProcess  = "AiKv's process has nothing that this could change"
	whyRDB      = "AiKv writes and reads no RDB files: every acknowledged write is in the Raft log"
	whyReplicas = "AiKv's replicas follow a Raft log: a write is acknowledged by a majority of its shard's voters"
	whyScripts  = "AiKv has no scripts yet"
	whyShards   = "AiKv's replicas stay with their shard, and whoever has its whole log can take over"
	whyShutdown = "AiKv stops at once: everything acknowledged is in the Raft log"
	whyTLS      = "AiKv has no TLS yet"
	whyTypes    = "AiKv has no values of this type yet"
	whyUsers    = "AiKv has no users but the default one; nodes prove raft.token of the configuration to each other"
)

// refused are parameters that the node does not act upon: why tells a client whose
// value asks for something else.
func refused(why string, params ...param) []param {
	for i := range params {
		params[i].why = why
	}
	return params
}

// What makes a parameter, by the values that Redis takes; value is the one at the start.

func yesNo(name, value string) param { return param{name: name, value: value, kind: booleanParam} }

func number(name, value string, low, high int64) param {
	return param{name: name, value: value, kind: integerParam, low: low, high: high}
}

func size(name, value string) param { return param{name: name, value: value, kind: memoryParam} }

func sizeWithin(name, value string, low, high int64) param {
	return param{name: name, value: value, kind: memoryParam, low: low, high: high}
}

func oneOf(name, value, words string) param {
	return param{name: name, value: value, kind: enumParam, words: words}
}

func outputLimits(name, value string) param {
	return param{name: name, value: value, kind: outputLimitParam}
}

func free(name, value string) param { return param{name: name, value: value, kind: textParam} }

func parsed(name, value string, parse func(text string) (value, why string)) param {
	return param{name: name, value: value, parse: parse}
}

func fixed(name, value string) param { return param{name: name, value: value, kind: immutableParam} }

func protected(name, value string) param {
	return param{name: name, value: value, kind: protectedParam}
}

// orSame is p, of which value says what the node does anyway ("*": whatever it says).
func (p param) orSame(value string) param {
	p.same = value
	return p
}

// byFullName is p, which CONFIG GET shows by its full name alone.
func (p param) byFullName() param {
	p.hidden = true
	return p
}
