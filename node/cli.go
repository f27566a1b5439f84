package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

const cliUsage = `aikv cli [-c] [-h HOST] [-p PORT] [-a PASSWORD] [--user NAME] [--timeout 5s] COMMAND [ARGUMENT…]

Sends one command and prints the reply as redis-cli does. -c follows redirects.
The exit code is 1 if the reply is an error.`

// maxRedirects is as in other cluster clients.
const maxRedirects = 16

// cliAction sends the one command of the command line.
func cliAction(ctx context.Context, t *target, std stdio) error {
	if len(t.args) == 0 {
		return errors.New("which command? (see aikv cli --help)")
	}
	reply, err := t.do(ctx)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(std.out, resp.FormatCLIReply(t.args, reply, isTerminal(std.out))); err != nil {
		return err
	}
	if reply.IsError() {
		return exitCode(1)
	}
	return nil
}

// do sends the command, with -c to where redirects lead.
func (t *target) do(ctx context.Context) (resp.Value, error) {
	addr, asking, from := t.addr(), false, ""
	for range maxRedirects {
		reply, err := t.once(ctx, addr, asking)
		if ip := t.nameless(ctx, from, addr, err); ip != "" {
			addr = ip
			reply, err = t.once(ctx, addr, asking)
		}
		if err != nil || !t.cluster {
			return reply, err
		}
		next, ask, ok := redirect(reply, addr)
		if !ok {
			return reply, nil
		}
		addr, asking, from = next, ask, addr
	}
	return resp.Value{}, fmt.Errorf("gave up after %d redirects, the last one to %s", maxRedirects, addr)
}

// nameless returns what the node at from, which redirected to addr, shows as the
// IP address of that node, if err says that nobody knows addr's name here: names
// of a compose network mean nothing outside of it. Otherwise "".
func (t *target) nameless(ctx context.Context, from, addr string, err error) string {
	if from == "" || !errors.As(err, new(*net.DNSError)) {
		return ""
	}
	host, port, _ := net.SplitHostPort(addr)
	ask := *t
	ask.args = []string{"CLUSTER", "NODES"}
	reply, err := ask.once(ctx, from, false)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(reply.Str)) { // id ip:port@bus,name …
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		ip, rest, _ := strings.Cut(fields[1], ":"+port+"@")
		if _, name, _ := strings.Cut(rest, ","); strings.EqualFold(name, host) {
			return net.JoinHostPort(ip, port)
		}
	}
	return ""
}

func (t *target) once(ctx context.Context, addr string, asking bool) (resp.Value, error) {
	client, err := t.dial(ctx, addr)
	if err != nil {
		return resp.Value{}, err
	}
	defer func() { _ = client.Close() }()
	if asking {
		if reply, err := client.Do(ctx, "ASKING"); err != nil || reply.IsError() {
			return reply, err
		}
	}
	reply, err := client.Do(ctx, t.args...)
	if err != nil {
		return reply, fmt.Errorf("%s: %w", addr, err)
	}
	return reply, nil
}

// redirect reads "MOVED slot host:port" and "ASK slot host:port". An empty host
// means the one that answered.
func redirect(reply resp.Value, from string) (addr string, ask, ok bool) {
	fields := strings.Fields(string(reply.Str))
	if !reply.IsError() || len(fields) != 3 || (fields[0] != "MOVED" && fields[0] != "ASK") {
		return "", false, false
	}
	colon := strings.LastIndexByte(fields[2], ':')
	if colon < 0 {
		return "", false, false
	}
	host, port := strings.Trim(fields[2][:colon], "[]"), fields[2][colon+1:]
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(from)
	}
	return net.JoinHostPort(host, port), fields[0] == "ASK", true
}

// isTerminal reports whether w is a terminal (or another character device).
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
