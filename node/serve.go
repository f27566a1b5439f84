package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/server"
)

// settingFlags are the flags that stand for one setting.
var settingFlags = [...]struct{ name, short, key, usage string }{
	{"host", "H", "server.host", "listen for clients on `ADDRESS`"},
	{"port", "p", "server.port", "listen for clients on `PORT`"},
	{"announce-host", "", "server.announce_host", "tell clients this `IP` address"},
	{"announce-port", "", "server.announce_port", "tell clients this `PORT`"},
	{"requirepass", "", "server.requirepass", "want `PASSWORD` from clients"},
	{"raft-host", "", "raft.host", "listen for other nodes on `ADDRESS`"},
	{"raft-port", "", "raft.port", "listen for other nodes on `PORT`"},
	{"raft-announce", "", "raft.announce", "tell other nodes this `HOST:PORT`"},
	{"seeds", "", "raft.seeds", "Raft addresses of nodes to ask, `HOST:PORT,…`"},
	{"data-dir", "", "storage.data_dir", "keep all data in `FOLDER`"},
	{"log-level", "", "logging.level", "log from `LEVEL` on: debug, info, warn or error"},
	{"log-file", "", "logging.file", "append the log to `FILE` too"},
}

func serveFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "read settings from the TOML `FILE`"},
		&cli.BoolFlag{Name: "print-config", Usage: "print the settings and exit"},
	}
	for _, f := range settingFlags {
		flag := &cli.StringFlag{Name: f.name, Usage: f.usage}
		if f.short != "" {
			flag.Aliases = []string{f.short}
		}
		flags = append(flags, flag)
	}
	return append(flags, &cli.StringSliceFlag{Name: "set", Usage: "any setting, `SECTION.KEY=VALUE`; may be repeated"})
}

// serveAction runs a node until a signal or an error ends it.
func serveAction(c *cli.Context, std stdio, env []string) error {
	if c.Args().Present() {
		return fmt.Errorf("unknown command or argument %q (see aikv --help)", c.Args().First())
	}
	cfg, err := loadConfig(c, env)
	if err != nil {
		return err
	}
	printIt := func(ctx *cli.Context) bool { return ctx.Bool("print-config") }
	if slices.ContainsFunc(c.Lineage(), printIt) { // before or after "serve"
		_, err := std.out.Write(cfg.TOML())
		return err
	}

	log, err := openLog(cfg, std.err)
	if err != nil {
		return err
	}
	defer log.close()
	for _, warning := range cfg.Warnings() {
		log.Warn(warning)
	}
	// A reader of stderr that went away must not take the node with it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err = server.Run(ctx, cfg, log.Logger, log.level)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	log.failed(err)
	return err
}

// loadConfig reads the settings for a command line.
func loadConfig(c *cli.Context, env []string) (config.Config, error) {
	path := ""
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "AIKV_CONFIG="); ok {
			path = value
		}
	}
	// Flags may stand before "serve" and after it; the latter count more.
	var settings []config.Setting
	for _, ctx := range slices.Backward(c.Lineage()) {
		given := ctx.LocalFlagNames()
		if slices.Contains(given, "config") {
			path = ctx.String("config")
		}
		for _, f := range settingFlags {
			if slices.Contains(given, f.name) {
				settings = append(settings, config.Setting{Key: f.key, Value: ctx.String(f.name), Source: "--" + f.name})
			}
		}
		if !slices.Contains(given, "set") {
			continue
		}
		for _, s := range ctx.StringSlice("set") {
			key, value, ok := strings.Cut(s, "=")
			if !ok {
				return config.Config{}, fmt.Errorf("--set %s: want SECTION.KEY=VALUE", s)
			}
			settings = append(settings, config.Setting{Key: key, Value: value, Source: "--set"})
		}
	}
	cfg, err := config.Load(path, env, settings)
	cfg.Version = version
	return cfg, err
}

// nodeLog is the log of a running node, on stderr and perhaps in a file.
type nodeLog struct {
	*slog.Logger
	level    *slog.LevelVar
	file     *os.File     // nil if there is none
	fileOnly *slog.Logger // nil if there is no file
}

func openLog(cfg config.Config, stderr io.Writer) (*nodeLog, error) {
	l := &nodeLog{level: new(slog.LevelVar)}
	l.level.Set(cfg.SlogLevel())
	handler := func(w io.Writer) *slog.Logger {
		opts := &slog.HandlerOptions{Level: l.level}
		if cfg.Logging.Format == config.FormatJSON {
			opts.ReplaceAttr = asText
			return slog.New(slog.NewJSONHandler(w, opts))
		}
		return slog.New(slog.NewTextHandler(w, opts))
	}
	l.Logger = handler(stderr)
	if path := cfg.Logging.File; path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("cannot open the log file: %w", err)
		}
		l.file, l.fileOnly = file, handler(file)
		l.Logger = handler(tee{file, stderr})
	}
	return l, nil
}

// asText gives a value that has a text form (a node id, an address) that form in
// JSON too, where it would be shown by its fields, and an id as a number that
// most readers round.
func asText(_ []string, a slog.Attr) slog.Attr {
	if s, ok := a.Value.Any().(fmt.Stringer); ok && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(s.String())
	}
	return a
}

// failed records in the file what stderr is told anyway.
func (l *nodeLog) failed(err error) {
	if err != nil && l.fileOnly != nil {
		l.fileOnly.Error("the node stops", "err", err)
	}
}

func (l *nodeLog) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// tee writes to all its writers, whatever becomes of the others.
type tee []io.Writer

func (t tee) Write(p []byte) (int, error) {
	var failed error
	for _, w := range t {
		if _, err := w.Write(p); err != nil {
			failed = err
		}
	}
	return len(p), failed
}
