package frontend

import (
	"errors"
	"time"
)

// Limits bound what clients may use. The zero value of a field means its
// default, unless it says otherwise.
type Limits struct {
	// MaxClients is how many connections there may be; 10000 by default.
	MaxClients int
	// Timeout closes connections that have been idle for so long; 0: never.
	Timeout time.Duration
	// MaxBulk is the largest argument in bytes; 64 MB by default.
	MaxBulk int
	// QueryBuffer bounds the bytes of one command; 256 MB by default.
	QueryBuffer int
	// OutputBuffer bounds the replies of a connection that its client has not
	// taken yet, beyond what a single reply needs: a connection with more does
	// not go on with its commands. 32 MB by default, and never less than what
	// Output allows.
	OutputBuffer int
	// TotalOutput bounds such replies of all connections together: beyond it, a
	// connection with more than a megabyte of them does not go on either. 128 MB
	// by default, and never less than OutputBuffer.
	TotalOutput int
	// ReadMemory bounds what the reads of all connections hold together: what they
	// build, and large replies until they are taken. 512 MB by default.
	ReadMemory int
	// Output closes connections with too many such replies.
	Output OutputLimit
	// WriteTimeout closes connections that take no replies for so long; one
	// minute by default.
	WriteTimeout time.Duration
}

// OutputLimit is Redis's client-output-buffer-limit of a class of clients. The
// zero value limits nothing.
type OutputLimit struct {
	// Hard closes a connection as soon as its replies take so many bytes; 0: no
	// limit.
	Hard int
	// Soft closes one whose replies take so many bytes for longer than SoftFor;
	// 0: no limit.
	Soft    int
	SoftFor time.Duration
}

// freeOutput is how many bytes of replies OutputLimit does not count: what fits
// into the buffer that Redis has besides for every client. Without it, a client
// that set a tiny limit could not hear that this worked.
const freeOutput = 16 << 10

// exceeds reports whether so many bytes of replies break the hard limit.
func (l OutputLimit) exceeds(held int) bool { return l.Hard > 0 && held-freeOutput >= l.Hard }

// exceedsWithList is exceeds for replies with a list among them: Redis does not
// put a long one, such as that of KEYS, into the buffer that does not count.
func (l OutputLimit) exceedsWithList(held int) bool {
	return l.Hard > 0 && held > freeOutput && held >= l.Hard
}

func (l Limits) withDefaults() Limits {
	defaultTo(&l.MaxClients, 10000)
	defaultTo(&l.MaxBulk, 64<<20)
	defaultTo(&l.QueryBuffer, 256<<20)
	defaultTo(&l.OutputBuffer, 32<<20)
	l.OutputBuffer = max(l.OutputBuffer, l.Output.Hard+freeOutput, l.Output.Soft+freeOutput)
	defaultTo(&l.TotalOutput, 128<<20)
	l.TotalOutput = max(l.TotalOutput, l.OutputBuffer)
	defaultTo(&l.ReadMemory, 512<<20)
	defaultTo(&l.WriteTimeout, time.Minute)
	return l
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Why a connection is closed that uses more than it may.
var (
	// errQueryBuffer ends a connection whose unfinished command outgrew the query
	// buffer. Redis does not answer such a client, and neither do we.
	errQueryBuffer = errors.New("the command is larger than client-query-buffer-limit")
	// errOutputLimit ends a connection whose replies outgrew Limits.Output.
	errOutputLimit = errors.New("the client's replies exceed client-output-buffer-limit")
	// errSlowClient ends a connection whose client does not take its replies.
	errSlowClient = errors.New("the client does not read its replies")
	// errIdle ends a connection after Limits.Timeout.
	errIdle = errors.New("the client has been idle for too long")
)

// The limits of a client that has not authenticated.
const (
	maxArgsUnauthenticated   = 10
	maxBulkUnauthenticated   = 16 << 10
	maxOutputUnauthenticated = 16 << 10 // of replies that it has not taken
)
