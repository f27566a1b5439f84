package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// Slots move in one way, with two faces: CLUSTER MIGRATION is Redis 8.4's, sent to the
// destination, CLUSTER MIGRATESLOTS and its kin are Valkey 9's, sent to the source. Each
// face lists all migrations of this node's, in words of its own.

// SlotsMove asks for a migration of slots; Target is where they are to go, where the
// source is asked.
type SlotsMove struct {
	Slots  slot.Set
	Target topology.NodeID
}

// migrationRows returns the rows of both faces.
func (a *admin) migrationRows() []*command.Command {
	flags := command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading
	return []*command.Command{
		{
			Name: "migration", Arity: -4, Flags: flags,
			Doc: command.Doc{
				Usage:   "(IMPORT <start-slot> <end-slot> [<start-slot> <end-slot> ...]|CANCEL (ID <task-id>|ALL)|STATUS ([ID <task-id>]|[ALL]))",
				Summary: "Moves slots with their keys to this node, lists such migrations, cancels them.", Since: "8.4.0", Group: "cluster",
				Complexity: "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
			},
			Local: a.clusterMigration,
		},
		{
			Name: "migrateslots", Arity: -4, Flags: flags,
			Doc: command.Doc{
				Usage:   "SLOTSRANGE <start-slot> <end-slot> [<start-slot> <end-slot> ...] NODE <node-id> [SLOTSRANGE <start-slot> <end-slot> [<start-slot> <end-slot> ...] NODE <node-id> ...]",
				Summary: "Moves slots with their keys from this node to others.", Since: "9.0.0", Group: "cluster",
				Complexity: "O(N) where N is the total number of the slots between all start slot and end slot arguments.",
			},
			Local: a.clusterMigrateSlots,
		},
		{
			Name: "getslotmigrations", Arity: 2, Flags: flags,
			Doc:   command.Doc{Summary: "Lists the migrations of slots to and from this node.", Since: "9.0.0", Group: "cluster", Complexity: "O(N), where N is the number of active slot import and export jobs."},
			Local: a.clusterGetSlotMigrations,
		},
		{
			Name: "cancelslotmigrations", Arity: 2, Flags: flags,
			Doc:   command.Doc{Summary: "Cancels the migrations of slots from this node.", Since: "9.0.0", Group: "cluster", Complexity: "O(N), where N is the number of slot migration operations being cancelled."},
			Local: a.clusterCancelSlotMigrations,
		},
	}
}

const errUnknownArgument = resp.Error("ERR unknown argument")

func (a *admin) clusterMigration(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	switch {
	case args.Is("import"):
		return a.migrationImport(ctx, args, r)
	case args.Is("status"):
		return a.migrationOf(args, func(id topology.MigrationID, known, all bool) error {
			a.writeMigrations(a.node.View(ctx), r, func(m *topology.Migration) bool { return all || known && m.ID == id }, writeImportFace)
			return nil
		})
	case args.Is("cancel"):
		return a.migrationOf(args, func(id topology.MigrationID, known, all bool) error {
			ended := 0
			if known || all {
				var err error
				if ended, err = a.cancel(ctx, id, ""); err != nil {
					return err
				}
			}
			r.Int(int64(ended))
			return nil
		})
	default:
		return errUnknownArgument
	}
}

func (a *admin) migrationImport(ctx context.Context, args *command.Args, r *resp.Reply) error {
	if args.Len() < 2 {
		return args.ErrArity()
	}
	slots, err := takeSlotRanges(args)
	if err != nil {
		return err
	}
	ids, err := a.node.StartMigration(ctx, topology.Import, []SlotsMove{{Slots: slots}})
	if err != nil {
		return err
	}
	r.BulkString(ids[0].String())
	return nil
}

// migrationOf takes ID and an id, or ALL. known is false for what is no id of ours.
func (a *admin) migrationOf(args *command.Args, do func(id topology.MigrationID, known, all bool) error) error {
	switch {
	case args.Is("all"):
		if args.More() {
			return args.ErrArity()
		}
		return do(0, false, true)
	case args.Is("id"):
		if args.Len() != 1 {
			return args.ErrArity()
		}
		id, err := topology.ParseMigrationID(lower(args.Next()))
		return do(id, err == nil, false)
	default:
		return errUnknownArgument
	}
}

// cancel ends this node's migrations in which it has that part: the one, or all (0).
func (a *admin) cancel(ctx context.Context, id topology.MigrationID, part topology.Face) (ended int, err error) {
	return a.node.CancelMigration(ctx, id, part, "Cancelled due to user request")
}

// takeMigrations takes what MIGRATESLOTS moves where.
func takeMigrations(args *command.Args) (moves []SlotsMove, err error) {
	for args.More() {
		// valkey-cli 9.1 sends the zero byte at its end, too.
		if !command.Is(command.CString(args.Next()), "slotsrange") {
			return nil, command.ErrSyntax
		}
		slots, err := takeMigratedRanges(args)
		if err != nil {
			return nil, err
		}
		if !args.IsWith("node", 1) {
			return nil, command.ErrSyntax
		}
		arg := args.Next()
		id, err := topology.ParseNodeID(lower(arg))
		switch {
		case len(arg) != 40 || strings.Trim(string(arg), "0123456789abcdef") != "":
			return nil, command.Errorf("Invalid node name: %s", command.Printable(arg, 128))
		case err != nil:
			return nil, command.Errorf("Unknown node name: %s", command.Printable(arg, 128))
		}
		moves = append(moves, SlotsMove{Slots: slots, Target: id})
	}
	return moves, nil
}

// takeMigratedRanges takes pairs of first and last slot, up to what is no number.
func takeMigratedRanges(args *command.Args) (slots slot.Set, err error) {
	var taken []slot.Range
	for args.More() {
		if _, number := command.ParseInt(args.Peek()); !number {
			break
		}
		start, err := takeSlot(args)
		switch {
		case err != nil:
			return slots, err
		case !args.More():
			return slots, command.Errorf("No end slot for final slot range")
		}
		end, err := takeSlot(args)
		switch {
		case err != nil:
			return slots, err
		case start > end:
			return slots, command.Errorf("Start slot number %d is greater than end slot number %d.", start, end)
		}
		for _, before := range taken {
			if start <= before.End && before.Start <= end {
				return slots, command.Errorf("Slot range %d-%d overlaps with previous range %d-%d.", start, end, before.Start, before.End)
			}
		}
		taken = append(taken, slot.Range{Start: start, End: end})
	}
	if len(taken) == 0 {
		return slots, command.Errorf("No slot ranges specified")
	}
	return slot.FromRanges(taken), nil
}

func (a *admin) clusterMigrateSlots(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	moves, err := takeMigrations(args)
	if err != nil {
		return err
	}
	_, err = a.node.StartMigration(ctx, topology.Export, moves)
	return ok(r, err)
}

func (a *admin) clusterGetSlotMigrations(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	a.writeMigrations(a.node.View(ctx), r, func(*topology.Migration) bool { return true }, writeExportFace)
	return nil
}

func (a *admin) clusterCancelSlotMigrations(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	_, err := a.cancel(ctx, 0, topology.Export)
	return ok(r, err)
}

// writeMigrations writes this node's migrations of those that are wanted, by a face.
func (a *admin) writeMigrations(v *topology.View, r *resp.Reply, wanted func(*topology.Migration) bool, write func(*resp.Reply, *topology.Migration, topology.Face)) {
	list, n := r.Here(), 0
	for _, m := range v.Migrations {
		if part := v.PartIn(m); part != "" && wanted(m) {
			write(r, m, part)
			n++
		}
	}
	r.ArrayAt(list, n)
}

// writeImportFace writes a migration as CLUSTER MIGRATION STATUS shows it to a node with
// that part in it.
func writeImportFace(r *resp.Reply, m *topology.Migration, part topology.Face) {
	operation := "import"
	if part == topology.Export {
		operation = "migrate"
	}
	end := int64(-1)
	if m.Ended != 0 {
		end = m.Ended
	}
	r.Map(12)
	bulks(r, "id", m.ID.String(), "slots", pairs(m.Slots), "source", m.Source.String(), "dest", m.Dest.String(),
		"operation", operation, "state", importState(m, part), "last_error", m.Error, "retries")
	r.Int(int64(m.Retries))
	for _, time := range []struct {
		name string
		ms   int64
	}{{"create_time", m.Created}, {"start_time", m.Created}, {"end_time", end}, {"write_pause_ms", m.Paused}} {
		r.BulkString(time.name)
		r.Int(time.ms)
	}
}

// importState is a migration's state in Redis's words.
func importState(m *topology.Migration, part topology.Face) string {
	switch {
	case m.State == topology.Copying && part == topology.Export:
		return "send-bulk-and-stream"
	case m.State == topology.Copying:
		return "accumulate-buffer"
	case m.State == topology.HandingOver && part == topology.Export:
		return "handoff"
	case m.State == topology.HandingOver:
		return "takeover"
	default:
		return string(m.State)
	}
}

// writeExportFace writes a migration as CLUSTER GETSLOTMIGRATIONS shows it to a node with
// that part in it.
func writeExportFace(r *resp.Reply, m *topology.Migration, part topology.Face) {
	second := int64(time.Second / time.Millisecond)
	r.Map(12)
	bulks(r, "name", m.ID.String(), "operation", strings.ToUpper(string(part)), "slot_ranges", pairs(m.Slots),
		"target_node", m.Dest.String(), "source_node", m.Source.String(), "create_time")
	r.Int(m.Created / second)
	for _, name := range []string{"last_update_time", "last_ack_time"} {
		r.BulkString(name)
		r.Int(m.Changed / second)
	}
	bulks(r, "state", exportState(m, part), "message", m.Error)
	for _, name := range []string{"cow_size", "remaining_repl_size"} { // nothing is forked, and nothing buffered
		r.BulkString(name)
		r.Int(0)
	}
}

// exportState is a migration's state in Valkey's words.
func exportState(m *topology.Migration, part topology.Face) string {
	switch {
	case m.State == topology.Copying && part == topology.Export:
		return "replicating"
	case m.State == topology.Copying:
		return "receiving-snapshot"
	case m.State == topology.HandingOver && part == topology.Export:
		return "failover-paused"
	case m.State == topology.HandingOver:
		return "failover-requested"
	case m.State == topology.Completed:
		return "success"
	case m.State == topology.Canceled:
		return "cancelled"
	default:
		return string(m.State)
	}
}

// pairs writes slots as ranges, one slot as a range, too.
func pairs(slots slot.Set) string {
	var b strings.Builder
	for i, r := range slots.Ranges() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(r.Start)) + "-" + strconv.Itoa(int(r.End)))
	}
	return b.String()
}
