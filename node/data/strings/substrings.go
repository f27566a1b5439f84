package strings

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/resp"
)

// substringCommands returns the rows of the commands on parts of strings.
func substringCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "append", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyInsert, Begin: 1}},
			Doc:   command.Doc{Usage: "key value", Summary: "Appends to the string value of a key.", Since: "2.0.0", Group: "string", Complexity: "O(N)"},
			Write: appendTo,
		},
		{
			Name: "strlen", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the length of the string value of a key.", Since: "2.2.0", Group: "string", Complexity: "O(1)"},
			Read: strLen,
		},
		{
			Name: "getrange", Arity: 4, Flags: command.FlagReadOnly, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key start end", Summary: "Returns a part of the string value of a key.", Since: "2.4.0", Group: "string", Complexity: "O(1)"},
			Read: getRange,
		},
		{
			Name: "substr", Arity: 4, Flags: command.FlagReadOnly, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key start end", Summary: "Returns a part of the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "2.0.0", ReplacedBy: "`GETRANGE`"},
			Read: getRange,
		},
		{
			Name: "setrange", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Keys:   []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:    command.Doc{Usage: "key offset value", Summary: "Overwrites a part of the string value of a key.", Since: "2.2.0", Group: "string", Complexity: "O(N)"},
			Write:  setRange,
			Weight: setRangeWeight,
		},
		{
			Name: "lcs", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: 1}},
			Doc:  command.Doc{Usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]", Summary: "Finds the longest common subsequence of two strings.", Since: "7.0.0", Group: "string", Complexity: "O(N*M)"},
			Read: lcs,
		},
	}
}

const errOffset = resp.Error("ERR offset is out of range")

func appendTo(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, more := args.Next(), args.Next()
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	size := len(m.Value) + len(more)
	if found && size > tx.MaxString {
		return command.ErrTooLong
	}
	value := append(make([]byte, 0, size), m.Value...)
	tx.SetString(key, append(value, more...), m.ExpireAt)
	r.Int(int64(size))
	return nil
}

func strLen(v *command.View, args *command.Args, r *resp.Reply) error {
	m, _, err := stringAt(v, args.Next())
	if err != nil {
		return err
	}
	r.Int(int64(len(m.Value)))
	return nil
}

func getRange(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	start, err := args.Int()
	if err != nil {
		return err
	}
	end, err := args.Int()
	if err != nil {
		return err
	}
	m, _, err := stringAt(v, key)
	if err != nil {
		return err
	}
	first, last := option.Within(start, end, int64(len(m.Value)))
	if first > last || option.Backwards(start, end) {
		r.BulkString("")
	} else {
		r.Bulk(m.Value[first : last+1])
	}
	return nil
}

func setRange(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	offset, err := args.Int()
	if err != nil {
		return err
	}
	if offset < 0 {
		return errOffset
	}
	m, _, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	part := args.Next()
	if len(part) == 0 {
		r.Int(int64(len(m.Value)))
		return nil
	}
	if offset > int64(tx.MaxString-len(part)) {
		return command.ErrTooLong
	}
	value := resized(m.Value, int(offset)+len(part))
	copy(value[offset:], part)
	tx.SetString(key, value, m.ExpireAt)
	r.Int(int64(len(value)))
	return nil
}

// resized returns a copy of value that has at least size bytes: zeros are added.
func resized(value []byte, size int) []byte {
	grown := make([]byte, max(len(value), size))
	copy(grown, value)
	return grown
}
