package sortedsets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
)

const group = "sorted-set"

// elementCommands are those on single elements, or that only count.
func elementCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "zadd", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", Summary: "Adds members to a sorted set or changes their scores; creates the set if there is none.", Since: "1.2.0", Group: group, Complexity: "O(log(N)) for each member"},
			Write: zadd,
		},
		{
			Name: "zincrby", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key increment member", Summary: "Adds to the score of a member of a sorted set.", Since: "1.2.0", Group: group, Complexity: "O(log(N))"},
			Write: zincrby,
		},
		{
			Name: "zcard", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the number of members of a sorted set.", Since: "1.2.0", Group: group, Complexity: "O(1)"},
			Read: zcard,
		},
		{
			Name: "zscore", Arity: 3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member", Summary: "Returns the score of a member of a sorted set.", Since: "1.2.0", Group: group, Complexity: "O(log(N))"},
			Read: zscore,
		},
		{
			Name: "zmscore", Arity: -3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member [member ...]", Summary: "Returns the scores of members of a sorted set.", Since: "6.2.0", Group: group, Complexity: "O(log(N)) for each member"},
			Read: zmscore,
		},
		{
			Name: "zrank", Arity: -3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member [WITHSCORE]", Summary: "Returns the rank of a member of a sorted set, by ascending scores.", Since: "2.0.0", Group: group, Complexity: "O(log(N))"},
			Read: zrank,
		},
		{
			Name: "zrevrank", Arity: -3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member [WITHSCORE]", Summary: "Returns the rank of a member of a sorted set, by descending scores.", Since: "2.0.0", Group: group, Complexity: "O(log(N))"},
			Read: zrevrank,
		},
		{
			Name: "zcount", Arity: 4, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key min max", Summary: "Counts the members of a sorted set whose scores are in a range.", Since: "2.0.0", Group: group, Complexity: "O(log(N))"},
			Read: zcount,
		},
		{
			Name: "zlexcount", Arity: 4, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key min max", Summary: "Counts the members of a sorted set in a lexicographical range.", Since: "2.8.9", Group: group, Complexity: "O(log(N))"},
			Read: zlexcount,
		},
	}
}

// rangeCommands are ZRANGE and its family, and others that return some of a set.
func rangeCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "zrange", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]", Summary: "Returns a range of members of a sorted set.", Since: "1.2.0", Group: group, Complexity: "O(log(N)+M) with M members returned"},
			Read: zrange,
		},
		{
			Name: "zrevrange", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key start stop [WITHSCORES]", Summary: "Returns members of a sorted set in a range of ranks, by descending scores.", Since: "1.2.0", Group: group, Complexity: "O(log(N)+M) with M members returned", DeprecatedSince: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` argument"},
			Read: zrevrange,
		},
		{
			Name: "zrangebyscore", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key min max [WITHSCORES] [LIMIT offset count]", Summary: "Returns members of a sorted set in a range of scores.", Since: "1.0.5", Group: group, Complexity: "O(log(N)+M) with M members returned", DeprecatedSince: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYSCORE` argument"},
			Read: zrangebyscore,
		},
		{
			Name: "zrevrangebyscore", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key max min [WITHSCORES] [LIMIT offset count]", Summary: "Returns members of a sorted set in a range of scores, by descending scores.", Since: "2.2.0", Group: group, Complexity: "O(log(N)+M) with M members returned", DeprecatedSince: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYSCORE` arguments"},
			Read: zrevrangebyscore,
		},
		{
			Name: "zrangebylex", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key min max [LIMIT offset count]", Summary: "Returns members of a sorted set in a lexicographical range.", Since: "2.8.9", Group: group, Complexity: "O(log(N)+M) with M members returned", DeprecatedSince: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYLEX` argument"},
			Read: zrangebylex,
		},
		{
			Name: "zrevrangebylex", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key max min [LIMIT offset count]", Summary: "Returns members of a sorted set in a lexicographical range, in reverse order.", Since: "2.8.9", Group: group, Complexity: "O(log(N)+M) with M members returned", DeprecatedSince: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYLEX` arguments"},
			Read: zrevrangebylex,
		},
		{
			Name: "zrangestore", Arity: -5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2}},
			Doc:    command.Doc{Usage: "dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]", Summary: "Stores a range of members of a sorted set in another key.", Since: "6.2.0", Group: group, Complexity: "O(log(N)+M) with M members stored"},
			Write:  zrangestore,
			Weight: command.Copies,
		},
		{
			Name: "zrandmember", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [count [WITHSCORES]]", Summary: "Returns random members of a sorted set.", Since: "6.2.0", Group: group, Complexity: "O(log(N)) for each member returned"},
			Read: zrandmember,
		},
		{
			Name: "zscan", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key cursor [MATCH pattern] [COUNT count]", Summary: "Walks over the members and scores of a sorted set.", Since: "2.8.0", Group: group, Complexity: "O(log(N)) for a call, O(N) for all of a walk"},
			Read: zscan,
		},
	}
}

// removeCommands are those that remove.
func removeCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "zrem", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key member [member ...]", Summary: "Removes members from a sorted set; the set goes with its last one.", Since: "1.2.0", Group: group, Complexity: "O(log(N)) for each member"},
			Write: zrem, Idle: command.IdleIfAbsent,
		},
		{
			Name: "zremrangebyrank", Arity: 4, Flags: command.FlagWrite, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key start stop", Summary: "Removes the members of a sorted set in a range of ranks.", Since: "2.0.0", Group: group, Complexity: "O(log(N)+M) with M members removed"},
			Write: zremrangebyrank,
		},
		{
			Name: "zremrangebyscore", Arity: 4, Flags: command.FlagWrite, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key min max", Summary: "Removes the members of a sorted set in a range of scores.", Since: "1.2.0", Group: group, Complexity: "O(log(N)+M) with M members removed"},
			Write: zremrangebyscore,
		},
		{
			Name: "zremrangebylex", Arity: 4, Flags: command.FlagWrite, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key min max", Summary: "Removes the members of a sorted set in a lexicographical range.", Since: "2.8.9", Group: group, Complexity: "O(log(N)+M) with M members removed"},
			Write: zremrangebylex,
		},
		{
			Name: "zpopmin", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key [count]", Summary: "Removes the members with the lowest scores from a sorted set and returns them.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M members removed"},
			Write: zpopmin, Returns: option.ReturnsPopped,
		},
		{
			Name: "zpopmax", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key [count]", Summary: "Removes the members with the highest scores from a sorted set and returns them.", Since: "5.0.0", Group: group, Complexity: "O(log(N)+M) with M members removed"},
			Write: zpopmax, Returns: option.ReturnsPopped,
		},
		{
			Name: "zmpop", Arity: -4, Flags: command.FlagWrite, ACL: command.CatSortedSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:   command.Doc{Usage: "numkeys key [key ...] MIN|MAX [COUNT count]", Summary: "Removes the lowest or highest members from the first of some sorted sets that has any, and returns them.", Since: "7.0.0", Group: group, Complexity: "O(K)+O(log(N)+M) with K keys and M members removed"},
			Write: zmpop, Returns: option.ReturnsPops,
		},
	}
}

// combineCommands are ZUNION, ZINTER and ZDIFF with their families.
func combineCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "zunion", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:  command.Doc{Usage: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]", Summary: "Returns the union of sorted sets.", Since: "6.2.0", Group: group, Complexity: "O(N)+O(M*log(M)) with N members of all sets and M of the union"},
			Read: zunion,
		},
		{
			Name: "zinter", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:  command.Doc{Usage: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]", Summary: "Returns the intersection of sorted sets.", Since: "6.2.0", Group: group, Complexity: "O(N*K*log(L))+O(M*log(M)) with K sets, N members of the smallest and L of the largest, and M of the intersection"},
			Read: zinter,
		},
		{
			Name: "zdiff", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:  command.Doc{Usage: "numkeys key [key ...] [WITHSCORES]", Summary: "Returns the members of a sorted set that are in none of the others.", Since: "6.2.0", Group: group, Complexity: "O(N*K*log(L)) with N members of the first set, and K other sets of up to L members"},
			Read: zdiff,
		},
		{
			Name: "zintercard", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSortedSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:  command.Doc{Usage: "numkeys key [key ...] [LIMIT limit]", Summary: "Counts the members of the intersection of sorted sets.", Since: "7.0.0", Group: group, Complexity: "O(N*K*log(L)) with K sets, N members of the smallest and L of the largest"},
			Read: zintercard,
		},
		{
			Name: "zunionstore", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Count: &command.KeyCount{First: 1}}},
			Doc:    command.Doc{Usage: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]", Summary: "Stores the union of sorted sets.", Since: "2.0.0", Group: group, Complexity: "O(N)+O(M*log(M)) with N members of all sets and M of the union"},
			Write:  zunionstore,
			Weight: command.Copies,
		},
		{
			Name: "zinterstore", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Count: &command.KeyCount{First: 1}}},
			Doc:    command.Doc{Usage: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]", Summary: "Stores the intersection of sorted sets.", Since: "2.0.0", Group: group, Complexity: "O(N*K*log(L))+O(M*log(M)) with K sets, N members of the smallest and L of the largest, and M of the intersection"},
			Write:  zinterstore,
			Weight: command.Copies,
		},
		{
			Name: "zdiffstore", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSortedSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Count: &command.KeyCount{First: 1}}},
			Doc:    command.Doc{Usage: "destination numkeys key [key ...]", Summary: "Stores the members of a sorted set that are in none of the others.", Since: "6.2.0", Group: group, Complexity: "O(N*K*log(L)) with N members of the first set, and K other sets of up to L members"},
			Write:  zdiffstore,
			Weight: command.Copies,
		},
	}
}
