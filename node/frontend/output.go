package frontend

import (
	"net"

	"github.com/genuineh/aikv/node/resp"
)

// flushAt is how much is encoded before some of it is sent, even within a pipeline.
const flushAt = 256 << 10

// output is what a connection's replies go through. They take two steps:
//
//	reply     the connection's goroutine encodes into it, a pipeline's replies together
//	backlog   flush sends them at once as far as the socket takes them; the rest waits
//	          here for the client, while the connection goes on
//
// All of it belongs to the connection's goroutine, but for what backlog says.
type output struct {
	reply resp.Reply // encoded, not yet flushed
	// narrow is set while the client has not authenticated.
	narrow bool
	// charged is set by charge: the next flush looks whether the client has taken
	// everything, even if there is nothing to send.
	charged bool
	// answered is all bytes of replies ever.
	answered int64

	backlog backlog
}

// newOutput returns a connection's output. taken is called when the client took
// something that it had not taken at once.
func newOutput(conn net.Conn, server *Server, taken func()) *output {
	o := &output{}
	o.backlog.init(conn, server, taken)
	return o
}

// flush hands everything encoded to the socket or the backlog. An error means
// that the connection is lost.
func (o *output) flush() error {
	if o.reply.Len() == 0 && !o.charged {
		return nil
	}
	o.charged = false
	err := o.backlog.push(o.reply.Bytes(), o.reply.HasLists(), o.narrow)
	o.reply.Reset(keepBuffer)
	return err
}

// charge holds n bytes of the server's memory for reads until the client has taken
// everything that was answered so far.
func (o *output) charge(n int64) {
	o.backlog.charge(n)
	o.charged = true
}
