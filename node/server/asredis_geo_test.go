package server

import "strconv"

// geoKey returns one of a few keys that mostly hold places.
func (g *generator) geoKey() string {
	if g.rnd.IntN(30) == 0 {
		return g.sortedKey()
	}
	return g.pick("{a}geo1", "{a}geo2")
}

// place returns a longitude and a latitude.
func (g *generator) place() []string {
	switch g.rnd.IntN(8) {
	case 0:
		return []string{g.pick("180", "-180", "0", "x"), g.pick("85.05112878", "-85.05112878", "86", "0", "80.5")}
	case 1, 2, 3:
		return []string{itoa(int64(g.rnd.IntN(3))), itoa(int64(g.rnd.IntN(3)))}
	default:
		return []string{decimals(10 + g.rnd.Float64()), decimals(50 + g.rnd.Float64())}
	}
}

func decimals(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (g *generator) length() []string {
	return []string{g.pick("0", "10", "100", "1000", "30000", "-1", decimals(g.rnd.Float64()*200)), g.pick("m", "km", "km", "mi", "ft", "foo")}
}

// geo returns a command on places. It does not store distances: their last bits are up to
// the C library.
func (g *generator) geo() []string {
	key := g.geoKey()
	switch g.rnd.IntN(10) {
	case 0, 1, 2:
		args := append([]string{"GEOADD", key}, g.some(2, "NX", "XX", "CH")...)
		for range 1 + g.rnd.IntN(10) {
			args = append(append(args, g.place()...), g.member())
		}
		return args
	case 3:
		return append([]string{"GEODIST", key, g.member(), g.member()}, g.some(1, "m", "km", "foo")...)
	case 4:
		return []string{g.pick("GEOHASH", "GEOPOS"), key, g.member(), g.member()}
	case 5:
		args := append(append([]string{g.pick("GEORADIUS", "GEORADIUS_RO"), key}, g.place()...), g.length()...)
		return append(args, g.geoOptions("STORE", g.geoKey())...)
	case 6:
		args := append([]string{g.pick("GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"), key, g.member()}, g.length()...)
		return append(args, g.geoOptions("STORE", g.geoKey())...)
	case 7:
		args := append(append([]string{"GEOSEARCHSTORE", g.geoKey(), key, "FROMLONLAT"}, g.place()...), "BYRADIUS")
		return append(append(args, g.length()...), g.geoOptions("ASC")...)
	case 8:
		args := append([]string{"GEOSEARCH", key, "FROMMEMBER", g.member(), "BYRADIUS"}, g.length()...)
		return append(args, g.geoOptions("DESC")...)
	default:
		args := append(append([]string{"GEOSEARCH", key, "FROMLONLAT"}, g.place()...), "BYBOX", itoa(int64(g.rnd.IntN(500))))
		return append(append(args, g.length()...), g.geoOptions("ASC")...)
	}
}

// geoOptions returns options of a search, and sometimes more.
func (g *generator) geoOptions(more ...string) []string {
	args := g.some(3, "WITHDIST", "WITHHASH", "WITHCOORD", "ASC", "DESC", "foo")
	if g.rnd.IntN(3) == 0 {
		args = append(args, "COUNT", g.pick("1", "2", "3", "10", "0", "x"))
		args = append(args, g.some(1, "ANY")...)
	}
	if g.rnd.IntN(3) == 0 {
		args = append(args, more...)
	}
	return args
}
