package admin

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// clientSubcommands returns the rows of CLIENT.
func (a *admin) clientSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "caching", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(YES|NO)", Summary: "Says whether the keys of the next command are tracked.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientCaching,
		},
		{
			Name: "getname", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the connection's name.", Since: "2.6.9", Group: "connection", Complexity: "O(1)"},
			Local: a.clientGetName,
		},
		{
			Name: "getredir", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the id that tracking notifications go to.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientGetRedir,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "connection", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "id", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the connection's id.", Since: "5.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientID,
		},
		{
			Name: "info", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes the connection.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientInfo,
		},
		{
			Name: "kill", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(<ip:port> | ID <id> | TYPE <type> | ADDR <ip:port> | LADDR <ip:port> | USER <name> | SKIPME (YES|NO) | MAXAGE <maxage>) ...", Summary: "Closes client connections.", Since: "2.4.0", Group: "connection", Complexity: "O(N)"},
			Local: a.clientKill,
		},
		{
			Name: "list", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "[TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID <id> [<id> ...]]", Summary: "Describes the client connections.", Since: "2.4.0", Group: "connection", Complexity: "O(N)"},
			Local: a.clientList,
		},
		{
			Name: "no-evict", Arity: 3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(ON|OFF)", Summary: "Protects the connection from eviction.", Since: "7.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientNoEvict,
		},
		{
			Name: "pause", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<timeout> [WRITE|ALL]", Summary: "Holds back commands for some time.", Since: "3.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientPause,
		},
		{
			Name: "reply", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Multi: command.MultiRefused, // EXEC's reply would lack elements
			Doc:   command.Doc{Usage: "(ON|OFF|SKIP)", Summary: "Switches the replies of the connection on or off.", Since: "3.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientReply,
		},
		{
			Name: "setname", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "<name>", Summary: "Names the connection.", Since: "2.6.9", Group: "connection", Complexity: "O(1)"},
			Local: a.clientSetName,
		},
		{
			Name: "tracking", Arity: -3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "OFF", Summary: "Switches key tracking off; it cannot be switched on yet.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientTracking,
		},
		{
			Name: "trackinginfo", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Says how keys are tracked.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientTrackingInfo,
		},
		{
			Name: "unblock", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<clientid> [TIMEOUT|ERROR]", Summary: "Ends the wait of a blocked client.", Since: "5.0.0", Group: "connection", Complexity: "O(log N)"},
			Local: a.clientUnblock,
		},
		{
			Name: "unpause", Arity: 2, InPause: true, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Ends CLIENT PAUSE.", Since: "6.2.0", Group: "connection", Complexity: "O(N)"},
			Local: a.clientUnpause,
		},
		{
			Name: "setinfo", Arity: 4, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "(LIB-NAME <libname>|LIB-VER <libver>)", Summary: "Tells the name or version of the client library.", Since: "7.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientSetInfo,
		},
		{
			Name: "no-touch", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(ON|OFF)", Summary: "Keeps the connection's reads from touching keys; none do.", Since: "7.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.clientNoTouch,
		},
	}
}

func (a *admin) clientID(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Int(int64(e.Session.ID))
	return nil
}

func (a *admin) clientGetName(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	if name := e.Session.Name(); name != "" {
		r.BulkString(name)
	} else {
		r.Null()
	}
	return nil
}

// printableName reports whether b may stand in CLIENT LIST without breaking it.
func printableName(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

const errClientName = resp.Error("ERR Client names cannot contain spaces, newlines or special characters.")

func (a *admin) clientSetName(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	name := args.Next()
	if !printableName(name) {
		return errClientName
	}
	e.Session.SetName(string(name))
	r.OK()
	return nil
}

func (a *admin) clientSetInfo(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	option, value := args.Next(), args.Next()
	kind := lower(option)
	if kind != "lib-name" && kind != "lib-ver" {
		return command.Errorf("Unrecognized option '%s'", command.Printable(option, 128))
	}
	if !printableName(value) {
		return command.Errorf("%s cannot contain spaces, newlines or special characters.", kind)
	}
	e.Session.SetLibrary(kind, string(value))
	r.OK()
	return nil
}

// onOff takes an argument that must be ON or OFF.
func onOff(args *command.Args) (on bool, err error) {
	if args.Is("on") {
		return true, nil
	}
	if args.Is("off") {
		return false, nil
	}
	return false, command.ErrSyntax
}

func (a *admin) clientNoEvict(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	on, err := onOff(args)
	if err != nil {
		return err
	}
	e.Session.SetNoEvict(on)
	r.OK()
	return nil
}

// clientNoTouch shows in CLIENT LIST alone: no connection's reads touch a key, as times
// of access are not kept.
func (a *admin) clientNoTouch(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	on, err := onOff(args)
	if err != nil {
		return err
	}
	e.Session.SetNoTouch(on)
	r.OK()
	return nil
}

func (a *admin) clientReply(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	switch {
	case args.Is("on"):
		e.Session.SetReplies(true)
	case args.Is("off"):
		e.Session.SetReplies(false)
	case args.Is("skip"):
		e.Session.SkipReply()
	default:
		return command.ErrSyntax
	}
	r.OK()
	return nil
}

// clientTracking accepts OFF, which is what clients send that have no cache.
func (a *admin) clientTracking(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	on, err := onOff(args)
	switch {
	case err != nil:
		return err
	case on:
		return command.Errorf("CLIENT TRACKING is not supported: AiKv does not send invalidations")
	}
	r.OK()
	return nil
}

func (a *admin) clientTrackingInfo(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Map(3)
	r.BulkString("flags")
	r.Set(1)
	r.BulkString("off")
	r.BulkString("redirect")
	r.Int(-1)
	r.BulkString("prefixes")
	r.Array(0)
	return nil
}

func (a *admin) clientCaching(_ context.Context, _ *command.Env, _ *command.Args, _ *resp.Reply) error {
	return command.Errorf("CLIENT CACHING can be called only when the client is in tracking mode " +
		"with OPTIN or OPTOUT mode enabled")
}

func (a *admin) clientGetRedir(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Int(-1)
	return nil
}

// clientLine describes a session as CLIENT LIST does, with the fields of Redis 7.2 and
// some of later ones, in its order. Those of buffers that a connection of AiKv does not have are 0: of
// arguments and transactions apart from the query buffer, and of fixed size.
func clientLine(s command.SessionInfo, now time.Time) string {
	b, t, events := s.Buffers, s.Transaction, "r"
	if b.Output > 0 {
		events = "rw"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d"+
		" watch=%d qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=%d rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d"+
		" events=%s cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s tot-net-in=%d tot-net-out=%d tot-cmds=%d\n",
		s.ID, s.Addr, s.LAddr, s.FD, s.Name, seconds(now.Sub(s.Created)), seconds(now.Sub(s.LastActive)), clientFlags(s),
		t.Queued, t.Watching, b.Query, b.QueryFree, t.Bytes, b.OutputPieces, b.Output,
		b.Query+b.QueryFree+t.Bytes+b.Output,
		events, s.Command, s.Proto, s.LibName, s.LibVer, b.Received, b.Sent, b.Commands)
}

// clientFlags are the letters that say what state a session is in.
func clientFlags(s command.SessionInfo) string {
	var flags []byte
	for _, f := range []struct {
		set    bool
		letter byte
	}{
		{s.Monitors, 'O'},
		{s.Transaction.Queued >= 0, 'x'},
		{s.Blocked, 'b'},
		{s.Transaction.Changed, 'd'},
		{s.ReadOnly, 'r'},
		{s.NoEvict, 'e'},
		{s.NoTouch, 'T'},
	} {
		if f.set {
			flags = append(flags, f.letter)
		}
	}
	if flags == nil {
		return "N"
	}
	return string(flags)
}

func seconds(d time.Duration) int64 { return int64(max(d, 0) / time.Second) }

func (a *admin) clientInfo(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Verbatim(clientLine(e.Session.Info(), time.Now()))
	return nil
}

// clientTypes are the types that CLIENT LIST and KILL know; every connection of
// AiKv is "normal".
func clientType(arg []byte) (normal bool, err error) {
	switch lower(arg) {
	case "normal":
		return true, nil
	case "master", "replica", "slave", "pubsub":
		return false, nil
	default:
		return false, command.Errorf("Unknown client type '%s'", command.Printable(arg, 128))
	}
}

func (a *admin) clientList(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	wanted := func(uint64) bool { return true }
	switch {
	case !args.More():
	case args.Len() == 2 && args.Is("type"):
		normal, err := clientType(args.Next())
		if err != nil {
			return err
		}
		wanted = func(uint64) bool { return normal }
	case args.IsWith("id", 1):
		ids := make(map[uint64]bool)
		for args.More() {
			id, err := args.Int()
			if err != nil || id < 1 {
				return command.Errorf("Invalid client ID")
			}
			ids[uint64(id)] = true
		}
		wanted = func(id uint64) bool { return ids[id] }
	default:
		return command.ErrSyntax
	}
	var list strings.Builder
	now := time.Now()
	for _, s := range a.node.Sessions().List() {
		if wanted(s.ID) {
			list.WriteString(clientLine(s.Info(), now))
		}
	}
	r.Verbatim(list.String())
	return nil
}

// killFilter says which clients CLIENT KILL closes: those that every given
// condition holds for.
type killFilter struct {
	id          int64 // 0: any
	maxAge      int64 // seconds; clients younger than that are spared
	addr, laddr []byte
	abnormal    bool // only clients that AiKv does not have
	skipMe      bool
}

func (f killFilter) matches(s command.SessionInfo, me uint64, now time.Time) bool {
	return seconds(now.Sub(s.Created)) >= f.maxAge && (f.id == 0 || uint64(f.id) == s.ID) &&
		(f.addr == nil || string(f.addr) == s.Addr) &&
		(f.laddr == nil || string(f.laddr) == s.LAddr) &&
		!f.abnormal && (!f.skipMe || s.ID != me)
}

func takeKill(args *command.Args) (f killFilter, err error) {
	f.skipMe = true
	for args.More() && err == nil {
		switch {
		case args.IsWith("id", 1):
			if f.id, err = args.Int(); err != nil || f.id < 1 {
				err = command.Errorf("client-id should be greater than 0")
			}
		case args.IsWith("maxage", 1):
			if f.maxAge, err = args.Int(); err != nil {
				err = command.Errorf("maxage is not an integer or out of range")
			} else if f.maxAge <= 0 {
				err = command.Errorf("maxage should be greater than 0")
			}
		case args.IsWith("addr", 1):
			f.addr = args.Next()
		case args.IsWith("laddr", 1):
			f.laddr = args.Next()
		case args.IsWith("type", 1):
			var normal bool
			normal, err = clientType(args.Next())
			f.abnormal = !normal
		case args.IsWith("user", 1):
			if user := args.Next(); string(user) != "default" {
				err = command.Errorf("No such user '%s'", command.Printable(user, 128))
			}
		case args.IsWith("skipme", 1):
			if f.skipMe = args.Is("yes"); !f.skipMe && !args.Is("no") {
				err = command.ErrSyntax
			}
		default:
			err = command.ErrSyntax
		}
	}
	return f, err
}

// clientKill has an old form, CLIENT KILL addr:port, and one with filters.
func (a *admin) clientKill(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	oldForm := args.Len() == 1
	f := killFilter{addr: args.Peek()}
	if !oldForm {
		var err error
		if f, err = takeKill(args); err != nil {
			return err
		}
	}
	killed, now := int64(0), time.Now()
	for _, s := range a.node.Sessions().List() {
		if !f.matches(s.Info(), e.Session.ID, now) {
			continue
		}
		killed++
		if s.ID == e.Session.ID {
			e.Session.CloseAfterReply = true // it hears of it first
		} else {
			a.node.Sessions().Kill(s.ID)
		}
	}
	switch {
	case !oldForm:
		r.Int(killed)
	case killed == 0:
		return command.Errorf("No such client")
	default:
		r.OK()
	}
	return nil
}

func (a *admin) clientPause(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 2 {
		return command.ErrSyntax
	}
	d, err := takeTimeout(args)
	if err != nil {
		return err
	}
	writesOnly := args.Is("write")
	if args.More() && !args.Is("all") {
		return command.Errorf("CLIENT PAUSE mode must be WRITE or ALL")
	}
	a.node.Sessions().Pause(time.Now().Add(d), writesOnly)
	r.OK()
	return nil
}

// takeTimeout takes a number of milliseconds.
func takeTimeout(args *command.Args) (time.Duration, error) {
	ms, err := args.Int()
	switch {
	case err != nil || ms > math.MaxInt64/int64(time.Millisecond):
		return 0, command.Errorf("timeout is not an integer or out of range")
	case ms < 0:
		return 0, command.Errorf("timeout is negative")
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (a *admin) clientUnblock(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 2 {
		return args.ErrSubcommand()
	}
	number := args.Next()
	withError := args.Is("error")
	if args.More() && !args.Is("timeout") {
		return command.Errorf("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := command.ParseInt(number)
	switch {
	case !ok:
		return command.ErrNotInteger
	case id > 0 && a.node.Sessions().Unblock(uint64(id), withError):
		r.Int(1)
	default:
		r.Int(0)
	}
	return nil
}

func (a *admin) clientUnpause(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	a.node.Sessions().Pause(time.Time{}, false)
	r.OK()
	return nil
}
