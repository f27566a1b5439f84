package admin

import (
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// field returns a field of a map of COMMAND DOCS, the zero Value if it has none.
func field(v resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if string(v.Elems[i].Str) == name {
			return v.Elems[i+1]
		}
	}
	return resp.Value{}
}

// usage writes arguments of COMMAND DOCS as redis-cli shows them, values without their
// names, of which there is no knowing.
func usage(arguments resp.Value, separator string) string {
	var words []string
	for _, a := range arguments.Elems {
		kind, token := string(field(a, "type").Str), string(field(a, "token").Str)
		var flags []string
		for _, f := range field(a, "flags").Elems {
			flags = append(flags, string(f.Str))
		}
		text := ""
		switch kind {
		case "oneof":
			text = usage(field(a, "arguments"), "|")
		case "block":
			text = usage(field(a, "arguments"), " ")
		case "pure-token":
		default:
			text = "x"
		}
		text = strings.TrimSpace(token + " " + text)
		if slices.Contains(flags, "multiple") {
			text += "..."
		}
		if slices.Contains(flags, "multiple_token") {
			text += token
		}
		if slices.Contains(flags, "optional") {
			text = "[" + text + "]"
		}
		words = append(words, text)
	}
	return strings.Join(words, separator)
}

// TestDocsAreRedis: redis-cli, which shows what COMMAND DOCS says of arguments, shows the
// same of our commands as of Redis's.
func TestDocsAreRedis(t *testing.T) {
	// Where 8 has more, or ours is refused or takes something of its own.
	differ := strings.Fields("bitop client|kill client|tracking cluster|forget debug pfdebug replicaof set slaveof xadd")
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		if o.Name != "redis-server-8" {
			return // 7.0 says less of many, and Valkey more
		}
		for _, row := range newBench(t).Table.Rows() {
			docs := o.Ask("COMMAND", "DOCS", row.FullName())
			if len(docs.Elems) != 2 {
				continue
			}
			ours, theirs := usage(field(row.Docs(), "arguments"), " "), usage(field(docs.Elems[1], "arguments"), " ")
			if ours != theirs && !slices.Contains(differ, row.FullName()) {
				t.Errorf("%s\n%s\nthe server says\n%s", row.FullName(), ours, theirs)
			}
		}
	})
}
