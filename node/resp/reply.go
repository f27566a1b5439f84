package resp

import (
	"errors"
	"slices"
	"strconv"
)

// Reply writes the reply to one command after the other, encoded for the protocol
// version of the client that waits, to the end of a buffer. What RESP2 cannot
// express becomes what Redis sends there: a map and a set are arrays, a double, a
// big number and a verbatim text are bulk strings, a boolean is 0 or 1 and every
// null is $-1 or *-1.
//
// A nil Reply is good, too: it discards everything, for commands whose reply
// nobody waits for. The zero value speaks RESP2. A Reply is for one goroutine.
//
// The heads of aggregates (Array, Map, …) come before their elements, and the
// writer of a command's reply sees to it that as many follow.
type Reply struct {
	buf   []byte
	start int // where the reply to the present command begins
	proto int
	// room is the length up to which buf grows before more is asked; 0: any length.
	room  int
	more  func(size int) (room int)
	full  bool // more has refused: nothing is written any more
	lists bool // an aggregate with elements was written
	// Between Nest and Unnest, whole is where the reply began of which the present
	// command's is an element, and nested where those elements begin.
	nesting bool
	whole   int
	nested  []int
	// switches are those of proto that are to come.
	switches []Switch
	watch    stopwatch
}

// Switch says that the elements from one on are for another protocol version.
type Switch struct{ At, Proto int }

// Init makes r an empty Reply for a protocol version (2 or 3); its memory stays.
func (r *Reply) Init(proto int) {
	*r = Reply{buf: r.buf[:0], proto: proto, more: r.more, nested: r.nested[:0]}
}

// Reset empties r for more replies to the same client. Memory of more than keep bytes
// is let go.
func (r *Reply) Reset(keep int) {
	if cap(r.buf) > keep {
		r.buf = nil
	}
	r.Init(r.proto)
}

// Meter has more asked before the reply to a command outgrows what it may take: size
// is how long the reply is so far, and room up to which length it may go on. A room
// that is not above size refuses: then Full is true, and what is written to the reply
// to this command, before and after, is dropped. nil: no limit.
func (r *Reply) Meter(more func(size int) (room int)) { r.more = more }

// Begin ends the reply to a command and begins the next one.
func (r *Reply) Begin() {
	if r == nil {
		return
	}
	if r.nesting {
		for len(r.switches) > 0 && r.switches[0].At <= len(r.nested) {
			r.proto, r.switches = r.switches[0].Proto, r.switches[1:]
		}
		r.start = len(r.buf)
		r.nested = append(r.nested, r.start)
		return
	}
	r.start, r.full, r.room = len(r.buf), false, 0
	if r.more != nil {
		r.room = r.start + 1 // the first byte asks
	}
}

// Full reports whether what is written counts for nothing any more, because the
// reply would take too much memory or because nobody waits for it. A handler that
// walks over much asks it, to stop early.
func (r *Reply) Full() bool { return r == nil || r.full }

// Restart drops what was written since Begin.
func (r *Reply) Restart() {
	switch {
	case r == nil:
	case r.nesting:
		r.Cut(min(r.start, len(r.buf)))
	default:
		r.Cut(r.start)
		r.Begin()
	}
}

// Nest makes the replies to the next commands elements of the present one, an array
// whose head was written: until Unnest, Begin begins one. Together they are metered as
// one reply.
func (r *Reply) Nest() {
	if r != nil {
		r.nesting, r.whole, r.nested = true, r.start, r.nested[:0]
	}
}

// Unnest ends what Nest began: the reply since the Begin before is the present one
// again.
func (r *Reply) Unnest() {
	if r != nil && r.nesting {
		r.nesting, r.start = false, r.whole
	}
}

// Nested returns where the elements begin that were written since the last Nest.
func (r *Reply) Nested() []int { return r.nested }

// SwitchAt has the protocol version change among the elements that Nest begins.
func (r *Reply) SwitchAt(switches []Switch) { r.switches = switches }

// LendNested gives r memory for Nested.
func (r *Reply) LendNested(starts []int) { r.nested = starts[:0] }

// Fail makes err the reply to the command, in place of what was written since Begin.
func (r *Reply) Fail(err error) {
	if r != nil {
		r.Restart()
		r.Error(err)
	}
}

// Failed reports whether the reply since Begin is an error.
func (r *Reply) Failed() bool { return r != nil && IsErrorReply(r.buf[min(r.start, len(r.buf)):]) }

// IsNull reports whether the reply to the present command is that there is no value, or
// no array.
func (r *Reply) IsNull() bool {
	if r == nil {
		return false
	}
	switch string(r.buf[r.start:]) {
	case "_\r\n", "$-1\r\n", "*-1\r\n":
		return true
	default:
		return false
	}
}

// IsErrorReply reports whether an encoded reply is an error.
func IsErrorReply(encoded []byte) bool { return len(encoded) > 0 && encoded[0] == '-' }

// ErrorText returns the text of an encoded error.
func ErrorText(encoded []byte) []byte {
	return encoded[1:max(1, len(encoded)-len("\r\n"))]
}

// Bytes returns everything that was written since Init, or is left by Cut. It is
// good until more is written.
func (r *Reply) Bytes() []byte {
	if r == nil {
		return nil
	}
	return r.buf
}

// Len returns the length of Bytes.
func (r *Reply) Len() int { return len(r.Bytes()) }

// Size returns how much was written since Begin.
func (r *Reply) Size() int { return r.Len() - r.start }

// HasLists reports whether an aggregate with elements was written since Init.
func (r *Reply) HasLists() bool { return r.lists }

// Cut drops what stands behind the first n bytes.
func (r *Reply) Cut(n int) { r.buf = r.buf[:n] }

// Append appends everything that another Reply has.
func (r *Reply) Append(other *Reply) {
	r.buf = append(r.buf, other.buf...)
	r.lists = r.lists || other.lists
}

// Encoded writes an element that was encoded before, in whatever protocol.
func (r *Reply) Encoded(element []byte) {
	r.buf = append(r.buf, element...)
	r.lists = r.lists || len(element) > 0 && element[0] != '$' && element[0] != '+'
}

// SetProto changes the protocol version of what is written from now on.
func (r *Reply) SetProto(proto int) { r.proto = proto }

// Lend gives r memory to write to, Take takes what it has: then r is empty.
func (r *Reply) Lend(buf []byte) { r.buf = buf[:0] }

// Take returns the memory of r, which is without any afterwards.
func (r *Reply) Take() []byte {
	buf := r.buf
	r.buf = nil
	return buf
}

// resp3 reports whether the client speaks RESP3.
func (r *Reply) resp3() bool { return r != nil && r.proto >= 3 }

// writable reports whether n more bytes, about, may be written.
func (r *Reply) writable(n int) bool {
	if r == nil || r.full {
		return false
	}
	if r.room == 0 || len(r.buf)+n <= r.room {
		return true
	}
	return r.ask(n)
}

// ask asks the meter for n more bytes.
func (r *Reply) ask(n int) bool {
	start := r.start
	if r.nesting {
		start = r.whole
	}
	size := len(r.buf) - start + n
	room := r.more(size)
	if room < size {
		r.Cut(start)
		r.full = true
		return false
	}
	r.room = start + min(room, unlimited)
	return true
}

// unlimited is a room that no reply fills.
const unlimited = 1 << 60

// headSize is about what the head of an element takes.
const headSize = 16

// OK writes the status +OK.
func (r *Reply) OK() {
	if r.writable(headSize) {
		r.buf = append(r.buf, "+OK\r\n"...)
	}
}

// Simple writes a status.
func (r *Reply) Simple(s string) {
	if r.writable(headSize + len(s)) {
		r.buf = appendLine(r.buf, '+', []byte(s))
	}
}

// Error writes an error as an element: see Fail for a command's. The text is that of
// an Error that err wraps as it stands, any other with the prefix ERR.
func (r *Reply) Error(err error) {
	if r != nil {
		r.buf = appendError(r.buf, errorText(err))
	}
}

// errorText returns the text of an error reply.
func errorText(err error) []byte {
	if e, ok := err.(Error); ok {
		return []byte(e)
	}
	if e, ok := errors.AsType[Error](err); ok {
		return []byte(e)
	}
	return []byte("ERR " + err.Error())
}

// Int writes an integer.
func (r *Reply) Int(n int64) {
	if r.writable(headSize) {
		r.buf = appendNumber(r.buf, ':', n)
	}
}

// Bulk writes a bulk string; b is copied.
func (r *Reply) Bulk(b []byte) {
	if r.writable(headSize + len(b)) {
		r.buf = appendBulk(r.buf, '$', b)
	}
}

// BulkString writes a bulk string.
func (r *Reply) BulkString(s string) {
	if r.writable(headSize + len(s)) {
		r.buf = appendNumber(r.buf, '$', int64(len(s)))
		r.buf = append(append(r.buf, s...), '\r', '\n')
	}
}

// BulkInt writes a number as a bulk string.
func (r *Reply) BulkInt(n int64) {
	if r.writable(headSize) {
		var digits [20]byte
		r.buf = appendBulk(r.buf, '$', strconv.AppendInt(digits[:0], n, 10))
	}
}

// Verbatim writes a text: a bulk string in RESP2.
func (r *Reply) Verbatim(s string) {
	if !r.resp3() {
		r.BulkString(s)
		return
	}
	if r.writable(headSize + len(s)) {
		r.buf = appendNumber(r.buf, '=', int64(len(s)+len("txt:")))
		r.buf = append(append(append(r.buf, "txt:"...), s...), '\r', '\n')
	}
}

// Null writes that there is no value.
func (r *Reply) Null() { r.null("$-1\r\n") }

// NullArray writes that there is no array.
func (r *Reply) NullArray() { r.null("*-1\r\n") }

func (r *Reply) null(resp2 string) {
	switch {
	case !r.writable(headSize):
	case r.resp3():
		r.buf = append(r.buf, "_\r\n"...)
	default:
		r.buf = append(r.buf, resp2...)
	}
}

// Bool writes a boolean: 0 or 1 in RESP2.
func (r *Reply) Bool(b bool) {
	if r.writable(headSize) {
		r.buf = appendBool(r.buf, b, r.resp3())
	}
}

// Double writes a floating point number: a bulk string in RESP2.
func (r *Reply) Double(f float64) {
	if r != nil {
		var digits [32]byte
		r.number(',', AppendDouble(digits[:0], f))
	}
}

// DoubleText is Double for a number whose digits are given.
func (r *Reply) DoubleText(digits []byte) { r.number(',', digits) }

// BigNumber writes an integer of any length: a bulk string in RESP2.
func (r *Reply) BigNumber(digits string) { r.number('(', []byte(digits)) }

func (r *Reply) number(kind byte, text []byte) {
	switch {
	case !r.writable(headSize + len(text)):
	case r.resp3():
		r.buf = appendLine(r.buf, kind, text)
	default:
		r.buf = appendBulk(r.buf, '$', text)
	}
}

// Value writes a reply that was built before.
func (r *Reply) Value(v Value) {
	if r.writable(headSize) {
		r.buf = Append(r.buf, v, r.proto)
		r.lists = r.lists || len(v.Elems) > 0
		r.writable(0)
	}
}

// Array begins an array of n elements.
func (r *Reply) Array(n int) { r.head('*', n) }

// Push begins a message of n elements that answers no command: an array in RESP2.
func (r *Reply) Push(n int) { r.head(r.kind('>'), n) }

// Set begins a set of n elements: an array in RESP2.
func (r *Reply) Set(n int) { r.head(r.kind('~'), n) }

// Map begins a map of n pairs, key and value in turn: a flat array in RESP2.
func (r *Reply) Map(n int) {
	if r.resp3() {
		r.head('%', n)
	} else {
		r.head('*', 2*n)
	}
}

// Pairs begins a list of n pairs: in RESP2 a flat array of their elements, in RESP3
// an array of arrays. Each pair begins with Pair.
func (r *Reply) Pairs(n int) {
	if r.resp3() {
		r.head('*', n)
	} else {
		r.head('*', 2*n)
	}
}

// Pair begins one of Pairs; two elements follow.
func (r *Reply) Pair() {
	if r.resp3() {
		r.head('*', 2)
	}
}

// Keyed begins n pairs of a key and what belongs to it: in RESP3 a map, in RESP2 an array
// of arrays. Each begins with KeyedPair.
func (r *Reply) Keyed(n int) {
	if r.resp3() {
		r.head('%', n)
	} else {
		r.head('*', n)
	}
}

// KeyedPair begins one pair of Keyed; two elements follow.
func (r *Reply) KeyedPair() {
	if !r.resp3() {
		r.head('*', 2)
	}
}

// kind returns a RESP3 aggregate's mark, or an array's.
func (r *Reply) kind(resp3 byte) byte {
	if r.resp3() {
		return resp3
	}
	return '*'
}

func (r *Reply) head(kind byte, n int) {
	if r.writable(headSize) {
		r.buf = appendNumber(r.buf, kind, int64(n))
		r.lists = r.lists || n > 0
	}
}

// Position is a place in a reply where the head of an aggregate goes whose number of
// elements is known only once they are written.
type Position int

// Here returns the present place, for ArrayAt and its kin.
func (r *Reply) Here() Position { return Position(r.Len()) }

// ArrayAt puts the head of an array of n elements where they begin.
func (r *Reply) ArrayAt(at Position, n int) { r.insert(at, func() { r.Array(n) }) }

// SetAt is ArrayAt for a set.
func (r *Reply) SetAt(at Position, n int) { r.insert(at, func() { r.Set(n) }) }

// MapAt is ArrayAt for a map of n pairs.
func (r *Reply) MapAt(at Position, n int) { r.insert(at, func() { r.Map(n) }) }

// PairsAt is ArrayAt for n pairs.
func (r *Reply) PairsAt(at Position, n int) { r.insert(at, func() { r.Pairs(n) }) }

// KeyedAt is ArrayAt for n pairs of Keyed.
func (r *Reply) KeyedAt(at Position, n int) { r.insert(at, func() { r.Keyed(n) }) }

// ScannedAt puts the head of what SCAN and its kin answer where the n elements begin
// that were found: the cursor to go on from, and an array of them.
func (r *Reply) ScannedAt(at Position, cursor uint64, n int) {
	var digits [20]byte
	r.ScannedTextAt(at, strconv.AppendUint(digits[:0], cursor, 10), n)
}

// ScannedTextAt is ScannedAt for a cursor that is no number.
func (r *Reply) ScannedTextAt(at Position, cursor []byte, n int) {
	r.insert(at, func() {
		r.Array(2)
		r.Bulk(cursor)
		r.Array(n)
	})
}

// insert moves what write appends to a place before.
func (r *Reply) insert(at Position, write func()) {
	end := r.Len()
	write()
	if r.Full() || end == int(at) {
		return
	}
	var few [64]byte
	head := append(few[:0], r.buf[end:]...)
	r.buf = slices.Insert(r.buf[:end], int(at), head...)
}
