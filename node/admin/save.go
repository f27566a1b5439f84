package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// Saving is what becomes of a checkpoint in the background.
type Saving uint8

// What becomes of a checkpoint.
const (
	SavingStarted Saving = iota
	SavingScheduled
	SavingAlready // one is under way
)

// Shutdown says how a node is to stop.
type Shutdown struct {
	// Abrupt: nobody else is asked to lead before.
	Abrupt bool
	// Unsaved: no checkpoint is made. The log has everything; the next start repeats it.
	Unsaved bool
}

// saveCommands returns the rows of the commands about checkpoints and the end of the node.
func (a *admin) saveCommands() []*command.Command {
	const flags = command.FlagAdmin | command.FlagNoScript | command.FlagNoAsyncLoading
	return []*command.Command{
		{
			Name: "save", Arity: 1, Flags: flags | command.FlagNoMulti,
			Doc:     command.Doc{Summary: "Makes a checkpoint of this node's data, and waits for it.", Since: "1.0.0", Group: "server", Complexity: "O(N) where N is the total number of keys in all databases"},
			Local:   a.save,
			OwnTime: true,
		},
		{
			Name: "bgsave", Arity: -1, Flags: flags,
			Doc:   command.Doc{Usage: "[SCHEDULE]", Summary: "Has a checkpoint of this node's data made.", Since: "1.0.0", Group: "server", Complexity: "O(1)"},
			Local: a.bgsave,
		},
		{
			Name: "lastsave", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatAdmin | command.CatDangerous,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Returns when this node's last checkpoint was made; writes are in the log before.", Since: "1.0.0", Group: "server", Complexity: "O(1)"},
			Local: a.lastSave,
		},
		{
			Name: "shutdown", Arity: -1,
			Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagNoMulti | command.FlagAllowBusy,
			Doc: command.Doc{
				Usage: "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]", Summary: "Stops the node, as its service manager would.", Since: "1.0.0", Group: "server",
				Complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
			},
			Local: a.shutdown,
		},
	}
}

func (a *admin) save(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	return ok(r, a.node.Save())
}

func (a *admin) bgsave(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	schedule := false
	if args.More() {
		if schedule = args.Is("schedule"); !schedule || args.More() {
			return command.ErrSyntax
		}
	}
	switch a.node.SaveInBackground(schedule) {
	case SavingStarted:
		r.Simple("Background saving started")
	case SavingScheduled:
		r.Simple("Background saving scheduled")
	default:
		return command.Errorf("Background save already in progress")
	}
	return nil
}

func (a *admin) lastSave(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	info := a.node.Info()
	saved := info.Store.Last
	if saved.IsZero() {
		saved = info.Started
	}
	r.Int(saved.Unix())
	return nil
}

// shutdown stops the node; its client hears nothing more. FORCE is for a node whose
// saving fails, which does not keep this one from stopping.
func (a *admin) shutdown(ctx context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	var how Shutdown
	save, abort, options := false, false, 0
	for ; args.More(); options++ {
		switch {
		case !save && args.Is("nosave"):
			how.Unsaved = true
		case !how.Unsaved && args.Is("save"):
			save = true
		case args.Is("now"):
			how.Abrupt = true
		case args.Is("force"):
		case args.Is("abort"):
			abort = true
		default:
			return command.ErrSyntax
		}
	}
	switch {
	case abort && options > 1:
		return command.ErrSyntax
	case abort:
		return command.Errorf("No shutdown in progress.")
	case !a.node.Shutdown(ctx, how):
		return command.Errorf("Errors trying to SHUTDOWN. Check logs.")
	}
	e.Session.CloseAfterReply = true
	return nil
}
