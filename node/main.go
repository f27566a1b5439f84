// Command aikv is a node of a Redis-compatible cluster that is held together by
// Raft, and the small client tools that such a cluster needs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is set at build time with -ldflags "-X main.version=…".
var version = "v0.1.0"

func main() {
	os.Exit(run(context.Background(), os.Args, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Environ()))
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// exitCode is an error for which everything has been said already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run runs one command line and returns the exit code. Any error is one line
// on stderr.
func run(ctx context.Context, args []string, std stdio, env []string) int {
	err := newApp(std, env).RunContext(ctx, args)
	if code, ok := err.(exitCode); ok {
		return int(code)
	}
	if err != nil {
		_, _ = fmt.Fprintf(std.err, "aikv: %v\n", err)
		return 1
	}
	return 0
}

func newApp(std stdio, env []string) *cli.App {
	oneLine := func(_ *cli.Context, err error, _ bool) error { return err }
	serve := func(c *cli.Context) error { return serveAction(c, std, env) }
	showVersion := func(*cli.Context) error {
		_, err := fmt.Fprintln(std.out, versionLine())
		return err
	}
	return &cli.App{
		Name:        "aikv",
		Usage:       "a Redis Cluster whose shards are Raft groups",
		UsageText:   "aikv [flags]            run a node (the same as aikv serve)\naikv COMMAND …          see below",
		HideVersion: true, // its short form and its text are ours
		Flags:       append(serveFlags(), &cli.BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "print the version"}),
		Commands: []*cli.Command{
			{Name: "serve", Usage: "run a node", Flags: serveFlags(), Action: serve, OnUsageError: oneLine},
			clientCommand("cli", "send one command and print the reply", cliUsage, std, env, cliAction),
			clientCommand("ping", "exit with 0 if a node answers", pingUsage, std, env, pingAction),
			recoverCommand(std, env),
			{Name: "version", Usage: "print the version", Action: showVersion},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return showVersion(c)
			}
			return serve(c)
		},
		Reader: std.in, Writer: std.out, ErrWriter: std.err,
		OnUsageError:              oneLine,
		ExitErrHandler:            func(*cli.Context, error) {}, // run says it
		DisableSliceFlagSeparator: true,
	}
}

// versionLine begins with "aikv " and the version.
func versionLine() string {
	line := fmt.Sprintf("aikv %s (%s", version, runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "go.etcd.io/raft/v3" {
				line += ", raft " + m.Version
			}
		}
	}
	return line + ")"
}
