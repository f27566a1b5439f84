package command

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// substringCommands returns the rows of the commands on parts of strings.
func substringCommands() []*Command {
	return []*Command{
		{
			Name: "append", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyInsert, Begin: 1}},
			Doc:      Doc{Usage: "key value", Summary: "Appends to the string value of a key.", Since: "2.0.0", Group: "string", Complexity: "O(N)"},
			OldWrite: appendTo,
		},
		{
			Name: "strlen", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatString,
			Keys:    []KeySpec{{Flags: KeyRO, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns the length of the string value of a key.", Since: "2.2.0", Group: "string", Complexity: "O(1)"},
			OldRead: strLen,
		},
		{
			Name: "getrange", Arity: 4, Flags: FlagReadOnly, ACL: CatString,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key start end", Summary: "Returns a part of the string value of a key.", Since: "2.4.0", Group: "string", Complexity: "O(1)"},
			OldRead: getRange,
		},
		{
			Name: "substr", Arity: 4, Flags: FlagReadOnly, ACL: CatString,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key start end", Summary: "Returns a part of the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "2.0.0", ReplacedBy: "`GETRANGE`"},
			OldRead: getRange,
		},
		{
			Name: "setrange", Arity: 4, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key offset value", Summary: "Overwrites a part of the string value of a key.", Since: "2.2.0", Group: "string", Complexity: "O(N)"},
			OldWrite: setRange,
		},
		{
			Name: "lcs", Arity: -3, Flags: FlagReadOnly, ACL: CatString,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1, Last: 1}},
			Doc:     Doc{Usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]", Summary: "Finds the longest common subsequence of two strings.", Since: "7.0.0", Group: "string", Complexity: "O(N*M)"},
			OldRead: lcs,
		},
	}
}

func errTooLong() resp.Value {
	return resp.Err("string exceeds maximum allowed size (proto-max-bulk-len)")
}

func appendTo(tx *keyspace.Tx, args [][]byte) resp.Value {
	limit := tx.Limit()
	m, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	size := len(m.Value) + len(args[2])
	if found && size > limit {
		return errTooLong()
	}
	value := append(make([]byte, 0, size), m.Value...)
	tx.SetString(args[1], append(value, args[2]...), m.ExpireAt)
	return resp.Int(int64(size))
}

func strLen(tx ReadTx, args [][]byte) resp.Value {
	m, _, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	return resp.Int(int64(len(m.Value)))
}

func getRange(tx ReadTx, args [][]byte) resp.Value {
	start, ok1 := ParseInt(args[2])
	end, ok2 := ParseInt(args[3])
	if !ok1 || !ok2 {
		return errNotInteger()
	}
	m, _, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	first, last := within(start, end, int64(len(m.Value)))
	if first > last || backwards(start, end) {
		return resp.Bulk([]byte{})
	}
	return resp.Bulk(m.Value[first : last+1])
}

// within turns a range of n elements, whose ends may be negative and count from
// the back then, into indexes. first > last means that it is empty.
func within(start, end, n int64) (first, last int64) {
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	return start, min(end, n-1)
}

// backwards reports whether a range ends before it begins, seen from the back.
// GETRANGE and BITCOUNT find nothing then, even where both ends lie before the
// value and within would make the first element of them.
func backwards(start, end int64) bool { return start < 0 && end < 0 && start > end }

func setRange(tx *keyspace.Tx, args [][]byte) resp.Value {
	limit := tx.Limit()
	offset, ok := ParseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	if offset < 0 {
		return resp.Err("offset is out of range")
	}
	key, part := args[1], args[3]
	m, _, bad := stringAt(tx, key)
	if bad != nil {
		return *bad
	}
	if len(part) == 0 {
		return resp.Int(int64(len(m.Value)))
	}
	if offset > int64(limit-len(part)) {
		return errTooLong()
	}
	value := resized(m.Value, int(offset)+len(part))
	copy(value[offset:], part)
	tx.SetString(key, value, m.ExpireAt)
	return resp.Int(int64(len(value)))
}

// resized returns a copy of value that has at least size bytes: zeros are added.
func resized(value []byte, size int) []byte {
	grown := make([]byte, max(len(value), size))
	copy(grown, value)
	return grown
}
