package admin

import (
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/topology"
)

// parseMigrations reads a migration a line: its id, and fields such as from=101.
func parseMigrations(t *testing.T, text string) (all []*topology.Migration) {
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		m := &topology.Migration{ID: topology.MigrationID(number(id)), Created: 1700000000123, Changed: 1700000000456}
		for field := range strings.FieldsSeq(rest) {
			switch name, value, _ := strings.Cut(field, "="); name {
			case "state":
				m.State = topology.MigrationState(value)
			case "slots":
				for part := range strings.SplitSeq(value, ",") {
					start, end, _ := strings.Cut(part, "-")
					for n := number(start); n <= number(end); n++ {
						m.Slots.Add(uint16(n))
					}
				}
			case "from":
				m.From = topology.GroupID(number(value))
			case "to":
				m.To = topology.GroupID(number(value))
			case "source":
				m.Source = topology.NodeID(number(value))
			case "dest":
				m.Dest = topology.NodeID(number(value))
			case "retries":
				m.Retries = int(number(value))
			case "ended":
				m.Ended = number(value)
			case "paused":
				m.Paused = number(value)
			case "error":
				m.Error = value
			default:
				t.Fatalf("unknown field %s", field)
			}
		}
		all = append(all, m)
	}
	return all
}
