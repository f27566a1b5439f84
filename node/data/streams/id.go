package streams

import (
	"bytes"
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errID       = resp.Error("ERR Invalid stream ID specified as stream command argument")
	errStartID  = resp.Error("ERR invalid start ID for the interval")
	errEndID    = resp.Error("ERR invalid end ID for the interval")
	longestID   = 127
	anySequence = "*"
)

// is reports whether an argument is a word that C compares, case and all.
func is(arg []byte, word string) bool { return string(command.CString(arg)) == word }

// parseID reads ms-seq, or ms alone, with which missing comes as the number.
func parseID(arg []byte, missing uint64) (id keyspace.StreamID, err error) {
	id, auto, err := parseNewID(arg, missing)
	if auto {
		err = errID
	}
	return id, err
}

// parseNewID is parseID, where ms-* leaves the number open.
func parseNewID(arg []byte, missing uint64) (id keyspace.StreamID, auto bool, err error) {
	if len(arg) > longestID {
		return id, false, errID
	}
	ms, seq, both := bytes.Cut(command.CString(arg), []byte{'-'})
	var ok bool
	if id.MS, ok = parseUnsigned(ms); !ok {
		return id, false, errID
	}
	switch {
	case !both:
		id.Seq = missing
	case string(seq) == anySequence:
		return id, true, nil
	default:
		if id.Seq, ok = parseUnsigned(seq); !ok {
			return id, false, errID
		}
	}
	return id, false, nil
}

// parseUnsigned reads a number as Redis does: in its strict form if it fits into a
// signed one that is not negative, otherwise as C's strtoull.
func parseUnsigned(b []byte) (n uint64, ok bool) {
	if signed, ok := command.ParseInt(b); ok {
		return uint64(signed), signed >= 0
	}
	digits := bytes.TrimLeft(b, " \t\n\v\f\r")
	negative := len(digits) > 0 && digits[0] == '-'
	if len(digits) > 0 && (negative || digits[0] == '+') {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// parseBound is parseID for the end of a range, which may be - or +.
func parseBound(arg []byte, missing uint64) (keyspace.StreamID, error) {
	switch {
	case is(arg, "-") && len(arg) <= longestID:
		return keyspace.StreamID{}, nil
	case is(arg, "+") && len(arg) <= longestID:
		return keyspace.MaxStreamID, nil
	default:
		return parseID(arg, missing)
	}
}

// parseStart reads where a range begins, with ( behind the id.
func parseStart(arg []byte) (keyspace.StreamID, error) {
	if len(arg) < 2 || arg[0] != '(' {
		return parseBound(arg, 0)
	}
	id, err := parseID(arg[1:], 0)
	if err != nil {
		return id, err
	}
	id, ok := id.Next()
	if !ok {
		return id, errStartID
	}
	return id, nil
}

// parseEnd reads where a range ends, with ( before the id.
func parseEnd(arg []byte) (keyspace.StreamID, error) {
	if len(arg) < 2 || arg[0] != '(' {
		return parseBound(arg, math.MaxUint64)
	}
	id, err := parseID(arg[1:], math.MaxUint64)
	if err != nil {
		return id, err
	}
	id, ok := id.Before()
	if !ok {
		return id, errEndID
	}
	return id, nil
}

// parseIDs reads ids that name entries.
func parseIDs(args [][]byte) ([]keyspace.StreamID, error) {
	ids := make([]keyspace.StreamID, len(args))
	for i, arg := range args {
		var err error
		if ids[i], err = parseID(arg, 0); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// writeID writes an id.
func writeID(r *resp.Reply, id keyspace.StreamID) {
	var text [42]byte
	r.Bulk(id.Append(text[:0]))
}

// writeEntry writes an entry: its id, and fields with their values.
func writeEntry(r *resp.Reply, e keyspace.StreamEntry) {
	r.Array(2)
	writeContent(r, e)
}

// writeContent writes what an entry's array begins with.
func writeContent(r *resp.Reply, e keyspace.StreamEntry) {
	writeID(r, e.ID)
	r.Array(2 * e.Len())
	for text := range e.Texts {
		r.Bulk(text)
	}
}
