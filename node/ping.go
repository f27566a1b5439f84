package main

import (
	"context"
	"fmt"
	"strings"
)

const pingUsage = `aikv ping [-h HOST] [-p PORT] [-a PASSWORD] [--user NAME] [--timeout 2s]

Exits with 0 if the node answers, a node that wants a password included, and
with 1 if it does not: a health check for images without a shell.`

// pingAction sends PING. A node that answers NOAUTH is alive.
func pingAction(ctx context.Context, t *target, std stdio) error {
	if len(t.args) > 0 {
		return fmt.Errorf("ping takes no arguments, but there is %q", t.args[0])
	}
	t.args = []string{"PING"}
	reply, err := t.once(ctx, t.addr(), false)
	if err != nil {
		return err
	}
	if reply.IsError() && !strings.HasPrefix(string(reply.Str), "NOAUTH") {
		return fmt.Errorf("%s answers: %s", t.addr(), reply.Str)
	}
	_, err = fmt.Fprintf(std.out, "%s\n", reply.Str)
	return err
}
