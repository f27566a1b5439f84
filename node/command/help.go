package command

import (
	"context"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// Help is the Local handler of a container's HELP: it lists the subcommands, from the
// table.
func Help(_ context.Context, _ *Env, args *Args, r *resp.Reply) error {
	parent := args.Command().parent
	lines := []string{strings.ToUpper(parent.Name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, sub := range parent.Subcommands {
		if sub.Name == "help" {
			continue
		}
		lines = append(lines, strings.TrimSpace(strings.ToUpper(sub.Name)+" "+sub.Doc.Usage), "    "+sub.Doc.Summary)
	}
	lines = append(lines, "HELP", "    Prints this help.")
	r.Array(len(lines))
	for _, line := range lines {
		r.Simple(line)
	}
	return nil
}
