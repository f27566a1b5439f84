package geo

import "github.com/genuineh/aikv/node/command"

// group is what COMMAND DOCS says that the commands belong to.
const group = "geo"

// placeCommands are those on single places.
func placeCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "geoadd", Arity: -5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatGeo,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]", Summary: "Adds places, as members of a sorted set, or moves them; creates the set if there is none.", Since: "3.2.0", Group: group, Complexity: "O(log(N)) for each place"},
			Write: geoadd,
		},
		{
			Name: "geodist", Arity: -4, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member1 member2 [M|KM|FT|MI]", Summary: "Returns the distance of two places.", Since: "3.2.0", Group: group, Complexity: "O(log(N))"},
			Read: geodist,
		},
		{
			Name: "geohash", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [member [member ...]]", Summary: "Returns the geohashes of places.", Since: "3.2.0", Group: group, Complexity: "O(log(N)) for each place"},
			Read: geohashes,
		},
		{
			Name: "geopos", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [member [member ...]]", Summary: "Returns longitudes and latitudes of places.", Since: "3.2.0", Group: group, Complexity: "O(log(N)) for each place"},
			Read: geopos,
		},
	}
}

const (
	searchUsage = "(FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS radius (M|KM|FT|MI)|BYBOX width height (M|KM|FT|MI)) [ASC|DESC] [COUNT count [ANY]]"
	radiusUsage = "radius (M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]"
	storeUsage  = " [STORE key|STOREDIST key]"

	searchCost = "O(N+M*log(M)) with N members in the cells that the area may reach into, and M in the area"
)

// searchCommands are those of Redis 6.2.
func searchCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "geosearch", Arity: -7, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key " + searchUsage + " [WITHCOORD] [WITHDIST] [WITHHASH]", Summary: "Returns the places in a circle or a box.", Since: "6.2.0", Group: group, Complexity: searchCost},
			Read: geosearch,
		},
		{
			Name: "geosearchstore", Arity: -8, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatGeo,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2}},
			Doc:    command.Doc{Usage: "destination source " + searchUsage + " [STOREDIST]", Summary: "Stores the places in a circle or a box.", Since: "6.2.0", Group: group, Complexity: searchCost},
			Write:  geosearchstore,
			Weight: command.Copies,
		},
	}
}

// radiusKeys are the keys of a command whose options, from that index on, may make it
// store what it finds.
func radiusKeys(options int) []command.KeySpec {
	return []command.KeySpec{
		{Flags: command.KeyRO | command.KeyAccess, Begin: 1},
		{Flags: command.KeyOW | command.KeyUpdate, Keyword: "STORE", From: options},
		{Flags: command.KeyOW | command.KeyUpdate, Keyword: "STOREDIST", From: options},
	}
}

// radiusCommands are those that Redis had before.
func radiusCommands() []*command.Command {
	const deprecated = "6.2.0"
	return []*command.Command{
		{
			Name: "georadius", Arity: -6, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatGeo,
			Keys: radiusKeys(6),
			Doc:  command.Doc{Usage: "key longitude latitude " + radiusUsage + storeUsage, Summary: "Returns or stores the places in a circle.", Since: "3.2.0", Group: group, Complexity: searchCost, DeprecatedSince: deprecated, ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"},
			Read: georadius, Write: georadiusStore, Writes: stores,
			Weight: storesWeight,
		},
		{
			Name: "georadius_ro", Arity: -6, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key longitude latitude " + radiusUsage, Summary: "Returns the places in a circle.", Since: "3.2.10", Group: group, Complexity: searchCost, DeprecatedSince: deprecated, ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` argument"},
			Read: georadiusRO,
		},
		{
			Name: "georadiusbymember", Arity: -5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatGeo,
			Keys: radiusKeys(5),
			Doc:  command.Doc{Usage: "key member " + radiusUsage + storeUsage, Summary: "Returns or stores the places in a circle around one of them.", Since: "3.2.0", Group: group, Complexity: searchCost, DeprecatedSince: deprecated, ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments"},
			Read: georadiusByMember, Write: georadiusByMemberStore, Writes: stores,
			Weight: storesWeight,
		},
		{
			Name: "georadiusbymember_ro", Arity: -5, Flags: command.FlagReadOnly, ACL: command.CatGeo,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member " + radiusUsage, Summary: "Returns the places in a circle around one of them.", Since: "3.2.10", Group: group, Complexity: searchCost, DeprecatedSince: deprecated, ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"},
			Read: georadiusByMemberRO,
		},
	}
}

// storesWeight is the Weight of a command that copies what it finds if it is told to.
func storesWeight(args [][]byte) int {
	if !stores(args) {
		return 0
	}
	return command.UnknownWeight
}
