package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/resp"
)

// target says which node a client command talks to, and how.
type target struct {
	host     string
	port     int
	user     string
	password string
	cluster  bool          // follow redirects
	timeout  time.Duration // for everything; 0: none
	args     []string      // what follows the flags
}

// clientAction runs a client command against a node.
type clientAction func(ctx context.Context, t *target, std stdio) error

// clientCommand makes a command whose flags are redis-cli's: -h is a host, and
// what follows the first word that is no flag is passed on untouched. So it
// parses them itself.
func clientCommand(name, summary, usage string, std stdio, env []string, action clientAction) *cli.Command {
	return &cli.Command{
		Name: name, Usage: summary, UsageText: usage,
		SkipFlagParsing: true, HideHelp: true,
		Action: func(c *cli.Context) error {
			t, err := parseTarget(name, c.Args().Slice(), env)
			if errors.Is(err, flag.ErrHelp) {
				_, err = fmt.Fprintln(std.out, usage)
				return err
			}
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if t.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, t.timeout)
				defer cancel()
			}
			return action(ctx, t, std)
		},
	}
}

// parseTarget reads redis-cli's flags. Without them the node is the one that
// the environment describes, as it does for aikv serve.
func parseTarget(name string, args, env []string) (*target, error) {
	t := &target{host: "127.0.0.1", port: config.Default().Server.Port}
	if cfg, err := config.Load("", env, nil); err == nil {
		t.host, t.port, t.password = cfg.Server.Host, cfg.Server.Port, cfg.Server.RequirePass
	}
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "REDISCLI_AUTH="); ok {
			t.password = value
		}
	}
	if ip, err := netip.ParseAddr(t.host); err == nil && ip.IsUnspecified() {
		t.host = map[bool]string{true: "127.0.0.1", false: "::1"}[ip.Is4()]
	}
	if name == "ping" {
		t.timeout = 2 * time.Second
	}

	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&t.host, "h", t.host, "")
	fs.StringVar(&t.host, "H", t.host, "")
	fs.StringVar(&t.host, "host", t.host, "")
	fs.IntVar(&t.port, "p", t.port, "")
	fs.IntVar(&t.port, "port", t.port, "")
	fs.StringVar(&t.password, "a", t.password, "")
	fs.StringVar(&t.password, "pass", t.password, "")
	fs.StringVar(&t.user, "user", "", "")
	fs.DurationVar(&t.timeout, "timeout", t.timeout, "")
	fs.Bool("no-auth-warning", false, "") // redis-cli's; there is no warning here
	if name == "cli" {
		fs.BoolVar(&t.cluster, "c", false, "")
	}
	if err := fs.Parse(args); err != nil {
		return nil, fmt.Errorf("%w (see aikv %s --help)", err, name)
	}
	t.args = fs.Args()
	if t.port < 1 || t.port > 65535 {
		return nil, fmt.Errorf("port %d is not between 1 and 65535", t.port)
	}
	return t, nil
}

func (t *target) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// dial connects to addr and authenticates, if there is a password.
func (t *target) dial(ctx context.Context, addr string) (*resp.Client, error) {
	client, err := resp.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, plainNetError(err))
	}
	if t.password == "" {
		return client, nil
	}
	auth := []string{"AUTH", t.password}
	if t.user != "" {
		auth = []string{"AUTH", t.user, t.password}
	}
	reply, err := client.Do(ctx, auth...)
	if err == nil && reply.IsError() {
		err = fmt.Errorf("AUTH failed: %s", reply.Str)
	}
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return client, nil
}

// plainNetError takes off what only repeats the address.
func plainNetError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
