// Package resp holds Redis protocol values: how they are built, encoded for
// RESP2 and RESP3, read back by a client, and printed as redis-cli prints them.
package resp

import (
	"fmt"
)

// Kind tells what a Value is.
type Kind uint8

// The kinds of RESP3. RESP2 has no Null, Map, Set, Double, Bool, Verbatim,
// BigNumber and Push: encoding turns them into what Redis 7 sends then.
const (
	KindNull Kind = iota
	KindSimple
	KindError
	KindInt
	KindBulk
	KindArray
	KindMap
	KindSet
	KindDouble
	KindBool
	KindVerbatim
	KindBigNumber
	KindPush
	KindNullArray
)

// Value is one reply. Str is the text of simple strings, errors (with their
// prefix), bulks, doubles, big numbers and verbatim strings (without "txt:");
// Int is the integer, or 0 and 1 of a Bool; Elems are the elements, for a map
// key, value, key, value. A Value is immutable once it was handed on.
type Value struct {
	Kind  Kind
	Int   int64
	Str   []byte
	Elems []Value
}

// OK is the status reply +OK.
var OK = Simple("OK")

// Null is the null reply: $-1 in RESP2, _ in RESP3.
var Null = Value{Kind: KindNull}

// NullArray is *-1 in RESP2 and _ in RESP3.
var NullArray = Value{Kind: KindNullArray}

// Simple returns a status reply.
func Simple(s string) Value { return Value{Kind: KindSimple, Str: []byte(s)} }

// Int returns an integer reply.
func Int(n int64) Value { return Value{Kind: KindInt, Int: n} }

// Bulk returns a bulk string; b is kept, not copied.
func Bulk(b []byte) Value { return Value{Kind: KindBulk, Str: b} }

// BulkString returns a bulk string.
func BulkString(s string) Value { return Value{Kind: KindBulk, Str: []byte(s)} }

// Verbatim returns a text: a bulk string in RESP2.
func Verbatim(s string) Value { return Value{Kind: KindVerbatim, Str: []byte(s)} }

// Bool returns a boolean: the integers 0 and 1 in RESP2.
func Bool(b bool) Value {
	if b {
		return Value{Kind: KindBool, Int: 1}
	}
	return Value{Kind: KindBool}
}

// Double returns a floating point number: a bulk string in RESP2.
func Double(f float64) Value {
	return Value{Kind: KindDouble, Str: AppendDouble(nil, f)}
}

// Array returns an array of elems; the slice is kept.
func Array(elems ...Value) Value { return Value{Kind: KindArray, Elems: elems} }

// Map returns a map from alternating keys and values: a flat array in RESP2.
func Map(pairs ...Value) Value { return Value{Kind: KindMap, Elems: pairs} }

// Set returns a set: an array in RESP2.
func Set(elems ...Value) Value { return Value{Kind: KindSet, Elems: elems} }

// Error is an error reply with its prefix, such as "ERR syntax error". It is a
// Go error too, so that a text that clients must see can travel through layers
// that know nothing of replies.
type Error string

func (e Error) Error() string { return string(e) }

// Err returns an error reply with the prefix ERR.
func Err(format string, args ...any) Value {
	return Value{Kind: KindError, Str: fmt.Appendf([]byte("ERR "), format, args...)}
}

// IsError reports whether v is an error reply.
func (v Value) IsError() bool { return v.Kind == KindError }
