package admin

import (
	"context"
	"math"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// slowlogSubcommands returns the rows of SLOWLOG.
func (a *admin) slowlogSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "get", Arity: -2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "nondeterministic_output"},
			Doc:   command.Doc{Usage: "[<count>]", Summary: "Returns the latest entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			Local: a.slowlogGet,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "6.2.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "len", Arity: 2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
			Doc:   command.Doc{Summary: "Returns the number of entries.", Since: "2.2.12", Group: "server", Complexity: "O(1)"},
			Local: a.slowlogLen,
		},
		{
			Name: "reset", Arity: 2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Summary: "Deletes the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			Local: a.slowlogReset,
		},
	}
}

// commandlogSubcommands returns the rows of COMMANDLOG, which are Valkey's.
func (a *admin) commandlogSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "get", Arity: 4, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "nondeterministic_output"},
			Doc:   command.Doc{Usage: "<count> (slow|large-request|large-reply)", Summary: "Returns the latest entries of a log.", Since: "8.1.0", Group: "server", Complexity: "O(N) where N is the number of entries returned"},
			Local: a.commandlogGet,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "8.1.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "len", Arity: 3, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
			Doc:   command.Doc{Usage: "(slow|large-request|large-reply)", Summary: "Returns the number of entries of a log.", Since: "8.1.0", Group: "server", Complexity: "O(1)"},
			Local: a.commandlogLen,
		},
		{
			Name: "reset", Arity: 3, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "(slow|large-request|large-reply)", Summary: "Deletes the entries of a log.", Since: "8.1.0", Group: "server", Complexity: "O(N)"},
			Local: a.commandlogReset,
		},
	}
}

const errLogCount = resp.Error("ERR count should be greater than or equal to -1")

func (a *admin) slowlogGet(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 1 {
		return args.ErrSubcommand()
	}
	n := int64(10)
	if args.More() {
		var err error
		if n, err = takeLogCount(args); err != nil {
			return err
		}
	}
	writeLog(r, a.node.Sessions().Log(command.LogSlow), n)
	return nil
}

func (a *admin) slowlogLen(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Int(int64(a.node.Sessions().Log(command.LogSlow).Len()))
	return nil
}

func (a *admin) slowlogReset(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	a.node.Sessions().Log(command.LogSlow).Reset()
	r.OK()
	return nil
}

func (a *admin) commandlogGet(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	n, err := takeLogCount(args)
	if err != nil {
		return err
	}
	log, err := a.takeLog(args)
	if err == nil {
		writeLog(r, log, n)
	}
	return err
}

func (a *admin) commandlogLen(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	log, err := a.takeLog(args)
	if err == nil {
		r.Int(int64(log.Len()))
	}
	return err
}

func (a *admin) commandlogReset(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	log, err := a.takeLog(args)
	if err == nil {
		log.Reset()
		r.OK()
	}
	return err
}

// takeLogCount takes how many entries are wanted; -1 is for all.
func takeLogCount(args *command.Args) (int64, error) {
	n, err := args.Int()
	switch {
	case err != nil || n < -1:
		return 0, errLogCount
	case n == -1:
		return math.MaxInt32, nil
	default:
		return min(n, math.MaxInt32), nil
	}
}

// logNames are those of the kinds of logs, by their numbers.
func logNames() []string { return []string{"slow", "large-request", "large-reply"} }

// takeLog takes the name of a log.
func (a *admin) takeLog(args *command.Args) (*command.CommandLog, error) {
	kind := slices.Index(logNames(), lower(args.Next()))
	if kind < 0 {
		return nil, command.Errorf("type should be one of the following: slow, large-request, large-reply")
	}
	return a.node.Sessions().Log(command.LogKind(kind)), nil
}

func writeLog(r *resp.Reply, log *command.CommandLog, n int64) {
	entries := log.Latest(int(n))
	r.Array(len(entries))
	for _, e := range entries {
		r.Array(6)
		r.Int(e.ID)
		r.Int(e.At.Unix())
		r.Int(e.Cost)
		r.Array(len(e.Args))
		for _, arg := range e.Args {
			r.Bulk(arg)
		}
		bulks(r, e.Addr, e.Name)
	}
}

// monitor is MONITOR. A connection that monitors already gets no answer, as in Redis.
func (a *admin) monitor(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	begun, err := e.Monitor()
	if begun {
		r.OK()
	}
	return err
}
