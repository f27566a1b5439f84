package resp

import (
	"bytes"
	"math"
	"strconv"
)

// Append appends v, encoded for protocol version proto (2 or 3), to dst. What
// RESP2 cannot express becomes what Redis 7 sends there: a map and a set are
// arrays, a double, a big number and a verbatim text are bulk strings, a
// boolean is 0 or 1 and every null is $-1 or *-1.
func Append(dst []byte, v Value, proto int) []byte {
	resp3 := proto >= 3
	switch v.Kind {
	case KindNull:
		if resp3 {
			return append(dst, "_\r\n"...)
		}
		return append(dst, "$-1\r\n"...)
	case KindNullArray:
		if resp3 {
			return append(dst, "_\r\n"...)
		}
		return append(dst, "*-1\r\n"...)
	case KindSimple:
		return appendLine(dst, '+', v.Str)
	case KindError:
		return appendError(dst, v.Str)
	case KindInt:
		return appendNumber(dst, ':', v.Int)
	case KindBulk:
		return appendBulk(dst, '$', v.Str)
	case KindArray:
		return appendElems(dst, '*', len(v.Elems), v.Elems, proto)
	case KindPush:
		if resp3 {
			return appendElems(dst, '>', len(v.Elems), v.Elems, proto)
		}
		return appendElems(dst, '*', len(v.Elems), v.Elems, proto)
	case KindMap:
		if resp3 {
			return appendElems(dst, '%', len(v.Elems)/2, v.Elems, proto)
		}
		return appendElems(dst, '*', len(v.Elems), v.Elems, proto)
	case KindSet:
		if resp3 {
			return appendElems(dst, '~', len(v.Elems), v.Elems, proto)
		}
		return appendElems(dst, '*', len(v.Elems), v.Elems, proto)
	case KindDouble:
		if resp3 {
			return appendLine(dst, ',', v.Str)
		}
		return appendBulk(dst, '$', v.Str)
	case KindBool:
		return appendBool(dst, v.Int != 0, resp3)
	case KindVerbatim:
		if resp3 {
			dst = appendNumber(dst, '=', int64(len(v.Str)+len("txt:")))
			dst = append(dst, "txt:"...)
			return append(append(dst, v.Str...), '\r', '\n')
		}
		return appendBulk(dst, '$', v.Str)
	case KindBigNumber:
		if resp3 {
			return appendLine(dst, '(', v.Str)
		}
		return appendBulk(dst, '$', v.Str)
	default:
		return appendLine(dst, '-', []byte("ERR internal error: a reply of unknown kind"))
	}
}

// AppendCommand appends args as a client sends a command: an array of bulks.
func AppendCommand(dst []byte, args ...string) []byte {
	dst = appendNumber(dst, '*', int64(len(args)))
	for _, arg := range args {
		dst = appendNumber(dst, '$', int64(len(arg)))
		dst = append(append(dst, arg...), '\r', '\n')
	}
	return dst
}

// appendLine appends a one-line reply. A line break in text would end the
// reply early and garble all that follow, so it becomes a space.
func appendLine(dst []byte, kind byte, text []byte) []byte {
	dst = append(dst, kind)
	if bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, '\n') < 0 {
		return append(append(dst, text...), '\r', '\n')
	}
	for _, b := range text {
		if b == '\r' || b == '\n' {
			b = ' '
		}
		dst = append(dst, b)
	}
	return append(dst, '\r', '\n')
}

// appendError appends an error. Its text may quote what a client sent, so what
// would end the line or the text for those who read it becomes a space, and it
// does not begin with "-", which is what marks the reply.
func appendError(dst, text []byte) []byte {
	text = bytes.TrimRight(bytes.TrimLeft(text, "-"), "\r\n")
	if len(text) == 0 {
		text = []byte("ERR")
	}
	dst = append(dst, '-')
	for _, b := range text {
		if b == '\r' || b == '\n' || b == 0 {
			b = ' '
		}
		dst = append(dst, b)
	}
	return append(dst, '\r', '\n')
}

func appendNumber(dst []byte, kind byte, n int64) []byte {
	return append(strconv.AppendInt(append(dst, kind), n, 10), '\r', '\n')
}

func appendBulk(dst []byte, kind byte, b []byte) []byte {
	dst = appendNumber(dst, kind, int64(len(b)))
	return append(append(dst, b...), '\r', '\n')
}

func appendElems(dst []byte, kind byte, n int, elems []Value, proto int) []byte {
	dst = appendNumber(dst, kind, int64(n))
	for _, e := range elems {
		dst = Append(dst, e, proto)
	}
	return dst
}

func appendBool(dst []byte, b, resp3 bool) []byte {
	switch {
	case resp3 && b:
		return append(dst, "#t\r\n"...)
	case resp3:
		return append(dst, "#f\r\n"...)
	case b:
		return append(dst, ":1\r\n"...)
	default:
		return append(dst, ":0\r\n"...)
	}
}

// AppendDouble appends f as Redis 7.0 writes it: 17 significant digits, inf and nan
// in lower case.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}
