// Command failover kills masters under writes and tells how long nobody could
// write, and what was lost: AiKv's six nodes, and a six-node Redis cluster the
// same way. See ../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

func main() {
	kills := flag.Int("kills", 20, "how often a master is killed, of each system")
	rate := flag.Int("rate", 2000, "writes a second to the victim's slots")
	only := flag.String("only", "", "aikv or redis: that one alone")
	flag.Parse()
	logging.Disable() // it says of each dial that nobody listens
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *kills, *rate, *only); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kills, rate int, only string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aikv-failover.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var rows [][]round
	var names []string
	for _, s := range []systems.System{systems.NewAikv(root, dir), systems.NewRedis(dir)} {
		if only != "" && only != s.Name() {
			continue
		}
		rounds, err := measure(ctx, s, kills, rate)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name(), err)
		}
		rows, names = append(rows, rounds), append(names, s.Name())
	}
	report(names, rows, rate)
	for i, name := range names {
		if name == "aikv" {
			return promised(rows[i])
		}
	}
	return nil
}

// promised returns an error that names what of our own figures is worse than it
// may be.
func promised(rounds []round) error {
	server := column(rounds, func(r round) time.Duration { return r.server })
	others := column(rounds, func(r round) time.Duration { return r.others })
	lost := 0
	for _, r := range rounds {
		lost += r.lost
	}
	var errs []error
	for _, f := range []struct {
		what        string
		took, bound time.Duration
	}{
		{"median until survivors write", median(server), 800 * time.Millisecond},
		{"worst until survivors write", server[len(server)-1], 1500 * time.Millisecond},
		{"longest gap of other shards", others[len(others)-1], 100 * time.Millisecond},
	} {
		verdict := "ok"
		if f.took > f.bound {
			verdict = "NOT KEPT"
			errs = append(errs, fmt.Errorf("%s: %v, not at most %v", f.what, f.took, f.bound))
		}
		fmt.Printf("%s: %v, at most %v: %s\n", f.what, f.took, f.bound, verdict)
	}
	if lost > 0 {
		errs = append(errs, fmt.Errorf("%d acknowledged writes are lost", lost))
	}
	return errors.Join(errs...)
}

// measure brings a system up, kills its masters in turn, and takes it down.
func measure(ctx context.Context, s systems.System, kills, rate int) ([]round, error) {
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	defer s.Stop()
	var rounds []round
	for n := range kills {
		r, err := killOne(ctx, s, n, rate)
		if err != nil {
			return nil, fmt.Errorf("kill %d: %w", n+1, err)
		}
		fmt.Fprintf(os.Stderr, "  %s %d: %v\n", s.Name(), n+1, r)
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// round is what one kill did.
type round struct {
	server time.Duration // from the kill to the first write that a survivor took
	client time.Duration // longest time that a go-redis client had to wait for a write
	others time.Duration // longest gap of writes to another shard
	acked  int           // writes to the victim's slots that were acknowledged
	lost   int           // of these, gone afterwards
}

func (r round) String() string {
	return fmt.Sprintf("server %v, client %v, other shards %v, %d of %d lost",
		r.server.Round(time.Millisecond), r.client.Round(time.Millisecond), r.others.Round(time.Millisecond), r.lost, r.acked)
}

func report(names []string, rows [][]round, rate int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tkills\tsurvivors write after: median\tworst\tgo-redis waited: median\tworst\tgap of other shards: worst\tlost of acknowledged")
	for i, rounds := range rows {
		acked, lost := 0, 0
		for _, r := range rounds {
			acked, lost = acked+r.acked, lost+r.lost
		}
		server := column(rounds, func(r round) time.Duration { return r.server })
		client := column(rounds, func(r round) time.Duration { return r.client })
		others := column(rounds, func(r round) time.Duration { return r.others })
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t%v\t%v\t%d of %d\n", names[i], len(rounds),
			median(server), server[len(server)-1], median(client), client[len(client)-1], others[len(others)-1], lost, acked)
	}
	w.Flush()
	fmt.Printf("%d writes a second to the victim's slots, kill -9\n", rate)
}

// column returns a figure of all rounds, rising.
func column(rounds []round, figure func(round) time.Duration) []time.Duration {
	var all []time.Duration
	for _, r := range rounds {
		all = append(all, figure(r).Round(time.Millisecond))
	}
	slices.Sort(all)
	return all
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }
