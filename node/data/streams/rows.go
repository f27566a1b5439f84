package streams

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
)

const group = "stream"

// keyOf is the spec of a command with one key.
func keyOf(flags command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{{Flags: flags, Begin: 1}}
}

// entryCommands are those on entries.
func entryCommands() []*command.Command {
	const write = command.FlagWrite | command.FlagFast
	trimmed := []string{"nondeterministic_output"}
	return []*command.Command{
		{
			Name: "xadd", Arity: -5, Flags: write | command.FlagDenyOOM, ACL: command.CatStream, Tips: trimmed,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Notes: "UPDATE instead of INSERT because of the optional trimming feature", Begin: 1}},
			Doc:   command.Doc{Usage: "key [NOMKSTREAM] [KEEPREF|DELREF|ACKED] [(MAXLEN|MINID) [=|~] threshold [LIMIT count]] (*|id) field value [field value ...]", Summary: "Adds an entry to a stream; creates the stream if there is none.", Since: "5.0.0", Group: group, Complexity: "O(log(N)), and O(M) with M entries trimmed"},
			Write: xadd,
		},
		{
			Name: "xlen", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatStream,
			Keys: keyOf(command.KeyRO),
			Doc:  command.Doc{Usage: "key", Summary: "Returns the number of entries of a stream.", Since: "5.0.0", Group: group, Complexity: "O(1)"},
			Read: xlen,
		},
		{
			Name: "xrange", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatStream,
			Keys: keyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key start end [COUNT count]", Summary: "Returns entries of a stream in a range of ids.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M entries returned"},
			Read: xrange,
		},
		{
			Name: "xrevrange", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatStream,
			Keys: keyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key end start [COUNT count]", Summary: "Returns entries of a stream in a range of ids, the last one first.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M entries returned"},
			Read: xrevrange,
		},
		{
			Name: "xdel", Arity: -3, Flags: write, ACL: command.CatStream,
			Keys:  keyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key id [id ...]", Summary: "Removes entries from a stream.", Since: "5.0.0", Group: group, Complexity: "O(log(N)) for each entry"},
			Write: xdel,
		},
		{
			Name: "xdelex", Arity: -5, Flags: write, ACL: command.CatStream,
			Keys:  keyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key [KEEPREF|DELREF|ACKED] IDS numids id [id ...]", Summary: "Removes entries from a stream, and tells of each what became of it.", Since: "8.2.0", Group: group, Complexity: "O(log(N)) for each entry and group"},
			Write: xdelex,
		},
		{
			Name: "xtrim", Arity: -4, Flags: command.FlagWrite, ACL: command.CatStream, Tips: trimmed,
			Keys:  keyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key (MAXLEN|MINID) [=|~] threshold [LIMIT count] [KEEPREF|DELREF|ACKED]", Summary: "Removes entries from the beginning of a stream.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M entries removed"},
			Write: xtrim,
		},
		{
			Name: "xsetid", Arity: -3, Flags: write | command.FlagDenyOOM, ACL: command.CatStream,
			Keys:  keyOf(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]", Summary: "Sets the last id of a stream.", Since: "5.0.0", Group: group, Complexity: "O(1)"},
			Write: xsetid,
		},
	}
}

// readCommands are those that may wait for entries.
func readCommands() []*command.Command {
	streams := func(from int) []command.KeySpec {
		return []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Keyword: "STREAMS", From: from, Last: -1, Limit: 2}}
	}
	return []*command.Command{
		{
			Name: "xread", Arity: -4, Flags: command.FlagReadOnly | command.FlagBlocking, ACL: command.CatStream,
			Keys:   streams(1),
			Doc:    command.Doc{Usage: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", Summary: "Returns entries of streams behind some ids; waits for them if it is to.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) for each stream, with M entries returned"},
			Blocks: &command.Blocks{For: keyspace.TypeStream, Waits: waits},
			Read:   xread,
		},
		{
			Name: "xreadgroup", Arity: -7, Flags: command.FlagWrite | command.FlagBlocking, ACL: command.CatStream,
			Keys:   streams(4),
			Doc:    command.Doc{Usage: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id [id ...]", Summary: "Returns entries of streams that a group has not delivered yet, or what is pending with a consumer; waits for them if it is to.", Since: "5.0.0", Group: group, Complexity: "O(M*log(N)) for each stream, with M entries returned"},
			Blocks: &command.Blocks{For: keyspace.TypeStream, Waits: waits, Lane: lane, AtOnce: true},
			Read:   lookForNew,
			Write:  xreadgroup, Returns: returnsRead, Weight: weightOfRead,
		},
	}
}

// lane is the group of a whole XREADGROUP.
func lane(args [][]byte) string {
	for i := 1; i+1 < len(args) && !command.Is(args[i], "streams"); i++ {
		switch {
		case command.Is(args[i], "group"):
			return string(args[i+1])
		case command.Is(args[i], "block"), command.Is(args[i], "count"), command.Is(args[i], "claim"):
			i++
		}
	}
	return ""
}

// returnsRead is the Returns of XREADGROUP.
func returnsRead(args *command.Args, look func() *command.View) (size int64) {
	var o reading
	if o.take(args, true, 0) != nil {
		return 0
	}
	for _, key := range o.keys {
		if o.count == 0 {
			all, _ := look().SizeOf(key)
			size += all
			continue
		}
		size += look().SizeOfSome(key, o.count)
	}
	return size
}

// groupCommands are XGROUP's and XINFO's.
func groupCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "xgroup", Arity: -2,
			Doc:         command.Doc{Summary: "Makes, changes and removes groups and their consumers.", Since: "5.0.0", Group: group, Complexity: "Depends on the subcommand."},
			Subcommands: groupSubcommands(),
		},
		{
			Name: "xinfo", Arity: -2,
			Doc:         command.Doc{Summary: "Tells what there is to know of a stream.", Since: "5.0.0", Group: group, Complexity: "Depends on the subcommand."},
			Subcommands: infoSubcommands(),
		},
	}
}

// subkeyOf is the spec of a subcommand with one key.
func subkeyOf(flags command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{{Flags: flags, Begin: 2}}
}

func groupSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "create", Arity: -5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatStream,
			Keys:  subkeyOf(command.KeyRW | command.KeyInsert),
			Doc:   command.Doc{Usage: "key group id|$ [MKSTREAM] [ENTRIESREAD entries-read]", Summary: "Makes a group, and with MKSTREAM the stream if there is none.", Since: "5.0.0", Group: group, Complexity: "O(log(N))"},
			Write: xgroupCreate,
		},
		{
			Name: "createconsumer", Arity: 5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatStream,
			Keys:  subkeyOf(command.KeyRW | command.KeyInsert),
			Doc:   command.Doc{Usage: "key group consumer", Summary: "Makes a consumer of a group.", Since: "6.2.0", Group: group, Complexity: "O(log(N))"},
			Write: xgroupCreateConsumer,
		},
		{
			Name: "delconsumer", Arity: 5, Flags: command.FlagWrite, ACL: command.CatStream,
			Keys:  subkeyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key group consumer", Summary: "Removes a consumer of a group, with what is pending.", Since: "5.0.0", Group: group, Complexity: "O(M*log(N)) with M pending entries"},
			Write: xgroupDelConsumer,
		},
		{
			Name: "destroy", Arity: 4, Flags: command.FlagWrite, ACL: command.CatStream,
			Keys:  subkeyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key group", Summary: "Removes a group.", Since: "5.0.0", Group: group, Complexity: "O(M) with M pending entries"},
			Write: xgroupDestroy,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatStream,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: group, Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "setid", Arity: -5, Flags: command.FlagWrite, ACL: command.CatStream,
			Keys:  subkeyOf(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key group id|$ [ENTRIESREAD entries-read]", Summary: "Sets the id behind which a group goes on.", Since: "5.0.0", Group: group, Complexity: "O(log(N))"},
			Write: xgroupSetID,
		},
	}
}

func infoSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "consumers", Arity: 4, Flags: command.FlagReadOnly, ACL: command.CatStream, Tips: []string{"nondeterministic_output"},
			Keys: subkeyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key group", Summary: "Lists the consumers of a group.", Since: "5.0.0", Group: group, Complexity: "O(M*log(N)) with M consumers"},
			Read: xinfoConsumers,
		},
		{
			Name: "groups", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatStream,
			Keys: subkeyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key", Summary: "Lists the groups of a stream.", Since: "5.0.0", Group: group, Complexity: "O(M*log(N)) with M groups"},
			Read: xinfoGroups,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatStream,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: group, Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "stream", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatStream,
			Keys: subkeyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key [FULL [COUNT count]]", Summary: "Tells about a stream, with FULL also about its entries and groups.", Since: "5.0.0", Group: group, Complexity: "O(N/100), as the nodes are counted"},
			Read: xinfoStream,
		},
	}
}

// pendingCommands are those on entries that are pending.
func pendingCommands() []*command.Command {
	const write = command.FlagWrite | command.FlagFast
	return []*command.Command{
		{
			Name: "xack", Arity: -4, Flags: write, ACL: command.CatStream,
			Keys:  keyOf(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key group id [id ...]", Summary: "Acknowledges entries: they are pending no more.", Since: "5.0.0", Group: group, Complexity: "O(log(N)) for each entry"},
			Write: xack,
		},
		{
			Name: "xackdel", Arity: -6, Flags: write, ACL: command.CatStream,
			Keys:  keyOf(command.KeyRW | command.KeyUpdate | command.KeyDelete),
			Doc:   command.Doc{Usage: "key group [KEEPREF|DELREF|ACKED] IDS numids id [id ...]", Summary: "Acknowledges entries and removes them from the stream.", Since: "8.2.0", Group: group, Complexity: "O(log(N)) for each entry and group"},
			Write: xackdel,
		},
		{
			Name: "xpending", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatStream, Tips: []string{"nondeterministic_output"},
			Keys: keyOf(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key group [[IDLE min-idle-time] start end count [consumer]]", Summary: "Tells how many entries are pending in a group, or lists them.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M entries looked at"},
			Read: xpending,
		},
		{
			Name: "xclaim", Arity: -6, Flags: write, ACL: command.CatStream, Tips: []string{"nondeterministic_output"},
			Keys:  keyOf(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]", Summary: "Makes pending entries those of another consumer.", Since: "5.0.0", Group: group, Complexity: "O(log(N)) for each entry"},
			Write: xclaim, Returns: returnsClaimed, Weight: weightOfClaim,
		},
		{
			Name: "xautoclaim", Arity: -6, Flags: write, ACL: command.CatStream, Tips: []string{"nondeterministic_output"},
			Keys:  keyOf(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key group consumer min-idle-time start [COUNT count] [JUSTID]", Summary: "Makes entries that have been pending for long those of another consumer.", Since: "6.2.0", Group: group, Complexity: "O(COUNT*log(N))"},
			Write: xautoclaim, Returns: returnsClaimedAutomatically,
		},
	}
}

// returnsClaimed is the Returns of XCLAIM.
func returnsClaimed(args *command.Args, look func() *command.View) int64 {
	return look().SizeOfSome(args.Next(), int64(args.Len()))
}

// returnsClaimedAutomatically is that of XAUTOCLAIM.
func returnsClaimedAutomatically(args *command.Args, look func() *command.View) int64 {
	key, count := args.Next(), int64(100)
	for args.More() {
		if args.IsWith("count", 1) {
			count, _ = args.Int()
		} else {
			args.Next()
		}
	}
	return look().SizeOfSome(key, count)
}
