package frontend

import "testing"

// Nothing between MULTI, which is refused, and EXEC or DISCARD is executed.
func TestMultiIsRefused(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	const (
		refused  = "-ERR MULTI is not supported yet: the commands up to EXEC or DISCARD are refused, none is executed"
		skipped  = "-ERR Not executed: MULTI was refused, and so are all commands until EXEC or DISCARD"
		aborted  = "-EXECABORT Transaction discarded because of previous errors."
		notFound = "-ERR unknown command 'NOSUCH', with args beginning with: "
	)
	c.want([]string{"SET n 1", "MULTI", "INCR n", "INCR n", "PING", "HELLO 3", "FLUSHALL", "NOSUCH", "EXEC", "GET n"},
		"OK", refused, skipped, skipped, skipped, skipped, skipped, notFound, aborted, "1")
	c.want([]string{"MULTI", "MULTI", "INCR n", "DISCARD", "INCR n"}, refused, "-ERR MULTI calls can not be nested", skipped, "OK", ":2")
	c.want([]string{"EXEC", "DISCARD"}, "-ERR EXEC without MULTI", "-ERR DISCARD without MULTI")
	c.want([]string{"MULTI", "RESET", "INCR n"}, refused, "RESET", ":3")
	// Another connection is not concerned.
	c.want([]string{"MULTI"}, refused)
	f.dial().want([]string{"INCR n"}, ":4")
	c.want([]string{"QUIT"}, "OK")
	if got := c.closed(); got != "" {
		t.Errorf("after QUIT: %q", got)
	}
}
