package command

import (
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/resp"
)

// keyed are rows with the key specifications of Redis's commands.
func keyed() map[string]*Command {
	oneThenCount := []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 1}, {Flags: KeyRO | KeyAccess, Begin: 2, Count: &KeyCount{First: 1}}}
	return map[string]*Command{
		"zunionstore": {Keys: oneThenCount},
		"eval":        {Keys: []KeySpec{{Flags: KeyRW, Begin: 2, Count: &KeyCount{First: 1}}}},
		"xread":       {Keys: []KeySpec{{Flags: KeyRO, Keyword: "STREAMS", From: 1, Last: -1, Limit: 2}}},
		"migrate": {Keys: []KeySpec{
			{Flags: KeyRW, Begin: 3}, {Flags: KeyRW | KeyIncomplete, Keyword: "KEYS", From: -2, Last: -1},
		}},
		"georadius": {Keys: []KeySpec{
			{Flags: KeyRO, Begin: 1}, {Flags: KeyOW, Keyword: "STORE", From: 6}, {Flags: KeyOW, Keyword: "STOREDIST", From: 6},
		}},
		"sort": {Keys: []KeySpec{{Flags: KeyRO, Begin: 1}, {Flags: KeyOW, Find: func(args [][]byte) (first, last int) {
			for i := 2; i+1 < len(args); i++ {
				if Is(args[i], "store") {
					return i + 1, i + 1
				}
			}
			return 1, 0
		}}}},
		"blpop": {Keys: []KeySpec{{Begin: 1, Last: -2}}},
		"bitop": {Keys: []KeySpec{{Begin: 2}, {Begin: 3, Last: -1}}},
	}
}

func TestKeySpecs(t *testing.T) {
	rows := keyed()
	for line, want := range map[string]string{
		"zunionstore d 2 a b weights 1 2":         "d a b",
		"zunionstore d 3 a b":                     "d !",
		"zunionstore d x a":                       "d !",
		"zunionstore d -1 a":                      "d !",
		"zunionstore d 0 a":                       "d",
		"zunionstore d 99999999999 a":             "d !",
		"eval script 0 arg":                       "",
		"eval script 2 a b arg":                   "a b",
		"eval script":                             "!",
		"xread count 5 streams a b 0 0":           "a b",
		"xread count 5 STREAMS a b 0":             "!",
		"xread count 5":                           "",
		"migrate h 1 k 0 5":                       "k",
		"migrate h 1 empty 0 5 keys a b":          "empty a b",
		"georadius k 1 2 3 m store a":             "k a",
		"georadius k 1 2 3 m count 1 storedist a": "k a",
		"georadius store 1 2 3 m":                 "store",
		"sort a by x store d":                     "a d",
		"sort a":                                  "a",
		"blpop a b 0":                             "a b",
		"bitop and d a b":                         "d a b",
	} {
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		row := rows[string(args[0])]
		keys, ok := row.KeyArgs(args)
		var got []string
		for _, key := range keys {
			got = append(got, string(key))
		}
		if !ok {
			got = append(got, "!")
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %q, want %q", line, text, want)
		}
		row.Slot(args) // never out of range
		for n := range args {
			row.Slot(args[:n+1])
		}
	}
}

// TestKeySpecsAreShown: COMMAND shows them as redis-server 7.0 does, with the range of
// former versions and whether there may be other keys.
func TestKeySpecsAreShown(t *testing.T) {
	for name, want := range map[string]string{
		"zunionstore": "1 1 1 movablekeys|index,index,1,range,lastkey,0,keystep,1,limit,0|index,index,2,keynum,keynumidx,0,firstkey,1,keystep,1",
		"eval":        "0 0 0 movablekeys|index,index,2,keynum,keynumidx,0,firstkey,1,keystep,1",
		"xread":       "0 0 0 movablekeys|keyword,keyword,STREAMS,startfrom,1,range,lastkey,-1,keystep,1,limit,2",
		"migrate":     "3 3 1 movablekeys|index,index,3,range,lastkey,0,keystep,1,limit,0|keyword,keyword,KEYS,startfrom,-2,range,lastkey,-1,keystep,1,limit,0",
		"sort":        "1 1 1 movablekeys|index,index,1,range,lastkey,0,keystep,1,limit,0|unknown,unknown",
		"blpop":       "1 -2 1 |index,index,1,range,lastkey,-2,keystep,1,limit,0",
		"bitop":       "2 -1 1 |index,index,2,range,lastkey,0,keystep,1,limit,0|index,index,3,range,lastkey,-1,keystep,1,limit,0",
	} {
		row := keyed()[name]
		row.Name = name
		info := row.Info().Elems
		got := info[3:6]
		text := strings.Join([]string{number(got[0]), number(got[1]), number(got[2]), ""}, " ")
		for _, flag := range info[2].Elems {
			text += string(flag.Str)
		}
		for _, spec := range info[8].Elems {
			var parts []string
			for _, half := range []resp.Value{field(spec, "begin_search"), field(spec, "find_keys")} {
				parts = append(parts, string(field(half, "type").Str))
				for _, v := range field(half, "spec").Elems {
					parts = append(parts, number(v))
				}
			}
			text += "|" + strings.Join(parts, ",")
		}
		if text != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, text, want)
		}
	}
}

// number shows an integer or a text.
func number(v resp.Value) string {
	if v.Kind == resp.KindInt {
		return strings.TrimSpace(strings.TrimPrefix(resp.FormatCLI(v, false), "(integer) "))
	}
	return string(v.Str)
}

// field returns a map's value.
func field(v resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if string(v.Elems[i].Str) == name {
			return v.Elems[i+1]
		}
	}
	return resp.Null
}
