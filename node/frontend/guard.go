package frontend

import (
	"bytes"

	"github.com/genuineh/aikv/node/command"
)

// protocolError is what a client that breaks the protocol is told before its
// connection is closed.
type protocolError string

func (e protocolError) Error() string { return "ERR Protocol error: " + string(e) }

const (
	// maxLine bounds an inline command and the line of a count or a length.
	maxLine = 64 << 10
	// maxArgs bounds the arguments of one command, so that a frame of empty
	// ones cannot make us allocate many times its size. The log takes as many.
	maxArgs = command.MaxArgs
)

// frameKind tells what the guard found at the beginning of the input.
type frameKind uint8

const (
	frameIncomplete frameKind = iota
	frameEmpty                // nothing to do and nothing to answer: *0, *-1
	frameInline               // a line of words
	frameArray                // an array of bulk strings
)

// frameLimits is what the guard lets through.
type frameLimits struct {
	maxBulk         int  // bytes of one argument
	unauthenticated bool // the client must authenticate first
}

// guard finds where a command ends, and checks its counts and lengths: arguments
// only gets whole, valid frames. It keeps its place in an unfinished frame, so a
// slow sender costs no second look at what was checked already. The zero guard
// expects the beginning of a frame.
//
// Like Redis it takes any byte for the line feed of a count or a length and
// any two bytes for the end of an argument; it overwrites them with what
// belongs there.
type guard struct {
	pos    int  // bytes of the frame that were checked
	array  bool // the count was read
	args   int  // arguments of the array still to come
	inBulk bool // the length of the next argument was read
	bulk   int  // that length
}

// next examines the frame that b begins with. It returns its kind and its
// length; the kind is frameIncomplete until all its bytes are there. Between
// calls b may grow and move, but its first bytes stay the same until a frame
// was returned.
func (g *guard) next(b []byte, limits frameLimits) (frameKind, int, error) {
	kind, err := g.advance(b, limits)
	if err != nil || kind == frameIncomplete {
		return frameIncomplete, 0, err
	}
	n := g.pos
	*g = guard{}
	return kind, n, nil
}

func (g *guard) advance(b []byte, limits frameLimits) (frameKind, error) {
	if len(b) == 0 {
		return frameIncomplete, nil
	}
	if b[0] != '*' {
		return g.inline(b)
	}
	if !g.array {
		line, ok := g.line(b)
		if !ok {
			return frameIncomplete, tooBig(b[g.pos:], "too big mbulk count string")
		}
		count, ok := parseLength(line)
		if !ok || count > maxArgs {
			return frameIncomplete, protocolError("invalid multibulk length")
		}
		if limits.unauthenticated && count > maxArgsUnauthenticated {
			return frameIncomplete, protocolError("unauthenticated multibulk length")
		}
		if count <= 0 {
			return frameEmpty, nil
		}
		g.array, g.args = true, int(count)
	}
	for g.args > 0 {
		if ok, err := g.argument(b, limits); !ok {
			return frameIncomplete, err
		}
		g.args--
	}
	return frameArray, nil
}

// arguments appends the arguments of an array that next has returned, to which they
// point, to dst.
func arguments(frame []byte, dst [][]byte) [][]byte {
	at := bytes.IndexByte(frame, '\r') + len("\r\n")
	for at < len(frame) {
		length := 0
		for at++; frame[at] != '\r'; at++ {
			length = 10*length + int(frame[at]-'0')
		}
		at += len("\r\n")
		dst = append(dst, frame[at:at+length:at+length])
		at += length + len("\r\n")
	}
	return dst
}

// argument examines the next argument and reports whether all of it is there.
func (g *guard) argument(b []byte, limits frameLimits) (bool, error) {
	if !g.inBulk {
		first := g.pos
		line, ok := g.line(b)
		if !ok {
			return false, tooBig(b[g.pos:], "too big bulk count string")
		}
		if b[first] != '$' {
			return false, protocolError("expected '$', got '" + printable(b[first]) + "'")
		}
		length, ok := parseLength(line)
		if !ok || length < 0 || length > int64(limits.maxBulk) {
			return false, protocolError("invalid bulk length")
		}
		if limits.unauthenticated && length > maxBulkUnauthenticated {
			return false, protocolError("unauthenticated bulk length")
		}
		g.inBulk, g.bulk = true, int(length)
	}
	end := g.pos + g.bulk + len("\r\n")
	if len(b) < end {
		return false, nil
	}
	b[end-2], b[end-1] = '\r', '\n'
	g.pos, g.inBulk = end, false
	return true, nil
}

// line returns the rest of a line after its first byte, and moves behind it.
func (g *guard) line(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b[g.pos:], '\r')
	if i < 0 || g.pos+i+1 >= len(b) {
		return nil, false
	}
	// An empty line has no first byte to skip.
	line := b[g.pos+min(1, i) : g.pos+i]
	g.pos += i + 2
	b[g.pos-1] = '\n'
	return line, true
}

func (g *guard) inline(b []byte) (frameKind, error) {
	i := bytes.IndexByte(b[g.pos:], '\n')
	if i < 0 {
		g.pos = len(b)
		return frameIncomplete, tooBig(b, "too big inline request")
	}
	g.pos += i + 1
	return frameInline, tooBig(b[:g.pos], "too big inline request")
}

func tooBig(line []byte, text string) error {
	if len(line) > maxLine {
		return protocolError(text)
	}
	return nil
}

// printable is b, or a space for a line break, which would end the reply.
func printable(b byte) string {
	if b == '\r' || b == '\n' {
		b = ' '
	}
	return string([]byte{b})
}

// parseLength reads a decimal number as strictly as Redis does: no plus sign,
// no leading zeros, no spaces.
func parseLength(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	// 18 digits fit into an int64, and no limit of ours is that large: what is
	// longer is out of range in any case.
	if len(b) == 0 || len(b) > 18 || b[0] == '0' && (len(b) > 1 || negative) {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
