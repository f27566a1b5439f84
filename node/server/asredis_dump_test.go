package server

import "strings"

// dumped returns a command on a key in the form of DUMP: of a string, a list, a hash or
// a set of either kind, or one that is broken.
func (g *generator) dumped() []string {
	key := g.pick(g.key(), g.hashKey(), g.setKey(), g.listKey())
	if g.rnd.IntN(3) == 0 {
		return []string{"DUMP", key}
	}
	payload := g.pick(
		"\x00\x05hello\x0a\x00cr\xdfve4 \x0a",
		"\x00\xc0\xf9\x0a\x00^&\xd10\xd7\xa2B\xab",
		"\x00\xc3\x0b<\x03ab a\xe0-\x02\x01b \x0a\x00e\x05\x12\x114\x07#\xba", // sixty bytes
		"\x10\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x83two\x04\xff\x0a\x00\x04(\xb5%\xe1\xe2k\x12",
		"\x11\x1a\x1a\x00\x00\x00\x06\x00\x81c\x02\x84-2.5\x05\x81a\x02\x01\x01\x81b\x02\x01\x01\xff\x0a\x00\x04,fmM>\xa5%",
		"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x07\x01\x81a\x02\xff\x0a\x00*\xbd+W\x0b\xa0X\xd3",
		"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x03\x00\x0a\x00i\x1aA=W\x83\xc1\xa2",
		"\x02\x02\x01a\x01b\x0a\x00\xfed!%\xeb\x03=\x0d",
	)
	if g.rnd.IntN(6) == 0 {
		payload = g.pick("", "x", payload[1:], payload[:len(payload)-1], strings.Replace(payload, "\x0a", "\x0b", 1),
			"\x04\x00\x0a\x00\x931\x96\xc0'\x92\x95\xbf", // an empty hash
			"\x0a\x00]\x9b\x5c@\x0f\x7f\xa2\xda",         // nothing
		)
	}
	args := []string{"RESTORE", key, g.pick("0", "0", "-1", "x", itoa(g.seconds()*1000)), payload}
	if g.rnd.IntN(5) == 0 {
		args[2] = g.moment(1000)
		args = append(args, "ABSTTL")
	}
	if g.rnd.IntN(4) > 0 {
		args = append(args, "REPLACE")
	}
	switch g.rnd.IntN(8) {
	case 0:
		args = append(args, "IDLETIME", g.integer())
	case 1:
		args = append(args, "FREQ", g.pick("0", "255", "256", "-1", g.integer()))
	case 2:
		args = append(args, g.some(2, "replace", "FREQ", "1", "IDLETIME", "absttl", "foo")...)
	}
	return args
}
