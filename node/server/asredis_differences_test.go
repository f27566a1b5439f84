package server

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// difference is a way in which our replies differ from Redis's.
type difference struct {
	// readme is how node/command/README.md says it.
	readme string
	// allows reports whether the difference explains two replies that are not
	// the same. name is the command's in lower case, with its subcommand's.
	allows func(d *duel, name string, args []string, ours, theirs resp.Value) bool
}

// differences returns all that are known.
func differences() []difference {
	return []difference{
		{
			"`SCAN` walks in the order of slots",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return (name == "scan" || name == "keys") && slices.Equal(elements(ours), elements(theirs))
			},
		},
		{
			"its cursors",
			func(_ *duel, name string, args []string, ours, theirs resp.Value) bool {
				return name == "scan" && (args[1] != "0" && ours.Kind == theirs.Kind && len(ours.Elems) == 2 || partial(ours, theirs))
			},
		},
		{
			"`EXEC` says `CROSSSLOT`",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "exec" && bytes.HasPrefix(ours.Str, []byte("CROSSSLOT ")) &&
					(theirs.Kind == resp.KindNull || theirs.Kind == resp.KindNullArray)
			},
		},
		{
			"`RANDOMKEY` chooses",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "randomkey" && ours.Kind == theirs.Kind
			},
		},
		{
			"`OBJECT ENCODING` of a string depends on its content alone",
			func(d *duel, name string, args []string, ours, theirs resp.Value) bool {
				kinds := []string{"int", "embstr", "raw"} // in Redis a value may stay at a later one
				at, redis := slices.Index(kinds, string(ours.Str)), slices.Index(kinds, string(theirs.Str))
				return name == "object encoding" && at >= 0 && at < redis && d.inPlace[args[2]]
			},
		},
		{
			"`OBJECT REFCOUNT` is 1",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				const shared = 1<<31 - 1 // Redis's number for small integers
				const queued = 2         // a value that a command queued by MULTI holds too, until EXEC ends
				return name == "object refcount" && ours.Int == 1 && (theirs.Int == shared || theirs.Int == queued)
			},
		},
		{
			"`OBJECT IDLETIME` is refused",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "object idletime" && ours.IsError() && theirs.Kind == resp.KindInt
			},
		},
		{
			"bytes that are others than Redis's",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "dump" && ours.Kind == resp.KindBulk && theirs.Kind == resp.KindBulk
			},
		},
		{
			"`HSCAN`, `SSCAN` and `ZSCAN` walk",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				if name == "zscan" {
					theirs = unsigned(theirs)
				}
				return (name == "hscan" || name == "sscan" || name == "zscan") &&
					(partial(ours, theirs) || slices.Equal(elements(ours), elements(theirs)))
			},
		},
		{
			"A score of `-0` is kept as 0",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return strings.HasPrefix(name, "z") && bytes.Equal(resp.Append(nil, unsigned(ours), 3), resp.Append(nil, unsigned(theirs), 3))
			},
		},
		{
			"`BITCOUNT` and `BITPOS` judge their range",
			func(_ *duel, name string, _ []string, ours, _ resp.Value) bool {
				return (name == "bitcount" || name == "bitpos") && ours.IsError()
			},
		},
		{
			"`ZRANK` and `ZREVRANK` take `WITHSCORE`",
			func(_ *duel, name string, args []string, _, _ resp.Value) bool {
				return (name == "zrank" || name == "zrevrank") && len(args) > 3
			},
		},
		{
			"fields of a large hash",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return slices.Contains([]string{"hgetall", "hkeys", "hvals"}, name) && slices.Equal(elements(ours), elements(theirs))
			},
		},
		{
			"The members of a set come in an order of their own",
			func(_ *duel, name string, args []string, ours, theirs resp.Value) bool {
				unsorted := (name == "sort" || name == "sort_ro") && slices.Contains(args, "BY")
				return (unsorted || slices.Contains([]string{"smembers", "sunion", "sinter", "sdiff", "spop"}, name)) &&
					ours.Kind == theirs.Kind && slices.Equal(elements(ours), elements(theirs))
			},
		},
		{
			"`OBJECT ENCODING` of a set is that of Redis 7.2",
			func(d *duel, name string, args []string, ours, theirs resp.Value) bool {
				smaller := string(ours.Str) == "listpack" || string(ours.Str) == "intset" && d.inPlace[args[2]]
				return name == "object encoding" && smaller && string(theirs.Str) == "hashtable"
			},
		},
		{
			"`SORT` and `SORT_RO` take `BY` and `GET` as Redis 8 does",
			func(_ *duel, name string, _ []string, _, theirs resp.Value) bool {
				return (name == "sort" || name == "sort_ro") && strings.Contains(string(theirs.Str), "option of SORT denied in Cluster mode.")
			},
		},
		{
			"`SORT` fails for a number that is none",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return (name == "sort" || name == "sort_ro") && !ours.IsError() && strings.Contains(string(theirs.Str), "can't be converted")
			},
		},
		{
			"`ALPHA` compares all bytes",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return (name == "sort" || name == "sort_ro") && ours.Kind == theirs.Kind &&
					slices.ContainsFunc(elements(ours), func(text string) bool { return strings.Contains(text, "\x00") })
			},
		},
		{
			"`SORT` leaves a sorted set in its encoding",
			func(d *duel, name string, args []string, ours, theirs resp.Value) bool {
				if name == "zscan" { // which shows large scores as the encoding has them
					return d.inPlace[args[1]] && len(elements(ours)) == len(elements(theirs))
				}
				return name == "object encoding" && d.inPlace[args[2]] && string(ours.Str) == "listpack" && string(theirs.Str) == "skiplist"
			},
		},
		{
			"`HRANDFIELD`, `SRANDMEMBER` and `ZRANDMEMBER` choose",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return slices.Contains([]string{"hrandfield", "srandmember", "zrandmember"}, name) && ours.Kind == theirs.Kind && len(ours.Elems) == len(theirs.Elems)
			},
		},
		{
			"A distance may differ by one in its last digit",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return strings.HasPrefix(name, "geo") && sameDistances(ours, theirs)
			},
		},
		{
			"and a small list is a `listpack`",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "object encoding" && string(ours.Str) == "listpack" && string(theirs.Str) == "quicklist"
			},
		},
		{
			"A consumer that finds nothing to read is made all the same",
			func(_ *duel, name string, args []string, ours, theirs resp.Value) bool {
				consumers := name == "xinfo" && len(args) > 1 && strings.EqualFold(args[1], "consumers")
				created := name == "xgroup" && len(args) > 1 && strings.EqualFold(args[1], "createconsumer")
				return (consumers || created) && ours.Kind == theirs.Kind && !ours.IsError()
			},
		},
		{
			"`XINFO` tells what Redis 7.2 tells",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "xinfo" && ours.Kind == theirs.Kind && sameStream(ours, theirs)
			},
		},
		{
			"for how long entries have been pending",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "xpending" && samePending(ours, theirs)
			},
		},
		{
			"`XREAD` and `XREADGROUP` name",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return strings.Contains(string(ours.Str), "Unbalanced") && strings.Contains(string(theirs.Str), "Unbalanced")
			},
		},
		{
			"`HELP` texts",
			func(_ *duel, name string, _ []string, ours, theirs resp.Value) bool {
				return name == "object help" && ours.Kind == theirs.Kind && ours.Elems[0].Kind == theirs.Elems[0].Kind
			},
		},
	}
}

// compare returns "" if the replies to a command are the same, or differ in a
// known way.
func (d *duel) compare(args []string, ours, theirs []byte) (why string) {
	if bytes.Equal(ours, theirs) {
		return ""
	}
	mine, err1 := resp.NewReader(bytes.NewReader(ours)).ReadValue()
	his, err2 := resp.NewReader(bytes.NewReader(theirs)).ReadValue()
	if err1 != nil || err2 != nil {
		return "a reply that cannot be read"
	}
	name := nameOf(args)
	if nearly(name, mine, his) {
		return ""
	}
	for _, known := range differences() {
		if known.allows(d, name, args, mine, his) {
			return ""
		}
	}
	return "different replies"
}

func nameOf(args []string) string {
	name := strings.ToLower(args[0])
	if name == "object" && len(args) > 1 {
		name += " " + strings.ToLower(args[1])
	}
	return name
}

// partial reports whether one of two replies of SCAN's form says that there is more.
func partial(ours, theirs resp.Value) bool {
	if len(ours.Elems) != 2 || len(theirs.Elems) != 2 {
		return false
	}
	return string(ours.Elems[0].Str) != "0" || string(theirs.Elems[0].Str) != "0"
}

// unsigned returns a reply with 0 where it has -0.
func unsigned(v resp.Value) resp.Value {
	if string(v.Str) == "-0" {
		v.Str = v.Str[1:]
	}
	elems := slices.Clone(v.Elems)
	for i := range elems {
		elems[i] = unsigned(elems[i])
	}
	v.Elems = elems
	return v
}

// sameDistances reports whether two replies are the same but for the last ones of the four
// digits that a distance has behind its point.
func sameDistances(ours, theirs resp.Value) bool {
	if len(ours.Elems) != len(theirs.Elems) || ours.Int != theirs.Int {
		return false
	}
	for i := range ours.Elems {
		if !sameDistances(ours.Elems[i], theirs.Elems[i]) {
			return false
		}
	}
	a, err1 := strconv.ParseFloat(string(ours.Str), 64)
	b, err2 := strconv.ParseFloat(string(theirs.Str), 64)
	return bytes.Equal(ours.Str, theirs.Str) || err1 == nil && err2 == nil && math.Abs(a-b) < 1.5e-4
}

// elements returns the elements of a reply, as text, sorted.
func elements(v resp.Value) (texts []string) {
	for _, e := range v.Elems {
		if len(e.Elems) > 0 { // the keys that SCAN found
			texts = append(texts, elements(e)...)
		} else {
			texts = append(texts, string(e.Str))
		}
	}
	slices.Sort(texts)
	return texts
}

// nearly reports whether two times differ only because the command that set them
// reached the servers at different moments. Generated times to live are further
// apart than that.
func nearly(name string, ours, theirs resp.Value) bool {
	unit := int64(1)
	switch name {
	case "ttl", "expiretime":
	case "pttl", "pexpiretime":
		unit = 1000
	default:
		return false
	}
	absolute := name == "expiretime" || name == "pexpiretime"
	if ours.Kind != resp.KindInt || theirs.Kind != resp.KindInt || ours.Int < 0 || theirs.Int < 0 {
		return false
	}
	if at := theirs.Int/unit - farAway; absolute && at >= 0 && at < farRange {
		return false // EXPIREAT or the like has set it: it is exact
	}
	return max(ours.Int, theirs.Int)-min(ours.Int, theirs.Int) < timeStep/2*unit
}

// note keeps in mind which values Redis does not encode anew.
func (d *duel) note(args []string) {
	if len(args) < 2 {
		return
	}
	switch nameOf(args) {
	case "append", "setrange", "setbit", "bitfield", "incrbyfloat", "pfadd", "pfmerge", "sdiffstore", "sort", "sort_ro":
		d.inPlace[args[1]] = true
	case "bitop":
		if len(args) > 2 {
			d.inPlace[args[2]] = true
		}
	case "rename", "renamenx", "copy":
		if len(args) > 2 && d.inPlace[args[1]] {
			d.inPlace[args[2]] = true
		}
	}
}

const (
	// farAway is where the moments begin that EXPIREAT and its kin get, in unix
	// seconds, and farRange how many there are. No time to live ends there.
	farAway  = 4_000_000_000
	farRange = 10
	// timeStep is how far times to live are apart, in seconds.
	timeStep = 100
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
