package frontend

import (
	"context"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// A Local handler that panics in the middle of its reply costs its client an error; the
// connection goes on, and so does the node.
func TestLocalHandlerPanics(t *testing.T) {
	var told []string
	f := start(t, func(o *Options) {
		o.Table = command.NewTable(data.Commands(), admin.Commands(o.Backend.(*testNode)), []*command.Command{{
			Name: "mistake", Arity: 1,
			Local: func(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
				r.Array(3)
				r.Int(1)
				panic("a mistake")
			},
		}})
		o.Recovered = func(name string, reason any, stack []byte) {
			if reason != "a mistake" || len(stack) == 0 {
				t.Errorf("told of %v, with a stack of %d bytes", reason, len(stack))
			}
			told = append(told, name)
		}
	})
	c := f.dial()
	got := c.do("PING", "mistake", "SET k v", "GET k", "mistake")
	want := []string{"PONG", "ERR internal error: the node's log has the details", "OK", "v", "ERR internal error: the node's log has the details"}
	for i := range got {
		if !slices.Contains([]string{want[i], "\"" + want[i] + "\"", "(error) " + want[i], "-" + want[i]}, got[i]) {
			t.Errorf("reply %d: %s, not %s", i, got[i], want[i])
		}
	}
	if !slices.Equal(told, []string{"mistake", "mistake"}) || f.server.Stats().Panics != 2 {
		t.Errorf("told of %v, counted %d", told, f.server.Stats().Panics)
	}
}
