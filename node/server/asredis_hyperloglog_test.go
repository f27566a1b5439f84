package server

import "strings"

// hyperloglog returns a command on HyperLogLogs. It asks for the estimate of none alone:
// Redis would write that into the value.
func (g *generator) hyperloglog() []string {
	key := func() string {
		if g.rnd.IntN(20) == 0 {
			return g.key()
		}
		return g.pick("{a}hll1", "{a}hll2", "{a}hll3")
	}
	var args []string
	switch g.rnd.IntN(8) {
	case 0:
		args = []string{"PFCOUNT", key(), key()}
	case 1:
		args = append([]string{"PFMERGE", key()}, g.some(3, key(), key(), key())...)
	case 2:
		args = []string{"PFDEBUG", g.pick("ENCODING", "DECODE", "decode", "TODENSE", "foo"), key()}
	case 3:
		args = []string{g.pick("GET", "STRLEN", "TYPE", "GET"), key()}
	case 4:
		args = []string{"PFADD", key(), strings.Repeat("x", g.rnd.IntN(40))}
	default:
		args = []string{"PFADD", key()}
		for range g.rnd.IntN(100) {
			args = append(args, g.value())
		}
	}
	return args
}
