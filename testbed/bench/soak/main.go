// Command soak measures what takes minutes: how far the data folder grows, how
// fast a node with much data starts, and what a new replica costs while it catches
// up. See ../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/redis/go-redis/v9/logging"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

// part is one measurement, on a cluster of its own.
type part struct {
	name string
	// env is what the nodes are started with.
	env []string
	run func(context.Context, *systems.Aikv) ([]figure, error)
}

// figure is something measured, and the bound that it should keep.
type figure struct {
	what, value, bound string
	ok                 bool
}

func main() {
	only := flag.String("only", "", "overwrites, start, catchup or checkpoints: that part alone")
	flag.Parse()
	logging.Disable() // it says of each dial that nobody listens
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// room is how much space the parts need, at most.
const room = 12 << 30

var errBound = errors.New("a bound was not kept")

func run(ctx context.Context, only string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aikv-soak.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if free, err := freeSpace(dir); err != nil {
		return err
	} else if free < room {
		return fmt.Errorf("only %d MB are free for %s, and %d may be needed: TMPDIR chooses another place", free>>20, dir, room>>20)
	}
	var figures []figure
	known := false
	for _, p := range []part{
		{name: "overwrites", run: overwrites},
		{name: "start", run: coldStart},
		{name: "catchup", run: catchUp},
		{name: "checkpoints", run: besideCheckpoints, env: []string{"AIKV_STORAGE_CHECKPOINT_INTERVAL=5s"}},
	} {
		if only != "" && only != p.name {
			continue
		}
		known = true
		progress("== %s", p.name)
		s := systems.NewAikv(root, dir)
		s.Env = p.env
		err := s.Start(ctx)
		if err == nil {
			var more []figure
			more, err = p.run(ctx, s)
			figures = append(figures, more...)
		}
		s.Stop()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q", only)
	}
	return report(figures)
}

func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// report prints the figures; errBound if one is not within its bound.
func report(figures []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	var broken []string
	for _, f := range figures {
		verdict := "ok"
		switch {
		case f.bound == "":
			verdict = ""
		case !f.ok:
			verdict = "NOT KEPT"
			broken = append(broken, f.what)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.what, f.value, f.bound, verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("%w: %s", errBound, strings.Join(broken, "; "))
	}
	return nil
}
