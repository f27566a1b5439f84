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
			Local: a.old(clientCaching),
		},
		{
			Name: "getname", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the connection's name.", Since: "2.6.9", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientGetName),
		},
		{
			Name: "getredir", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the id that tracking notifications go to.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientGetRedir),
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "connection", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "id", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the connection's id.", Since: "5.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientID),
		},
		{
			Name: "info", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes the connection.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientInfo),
		},
		{
			Name: "kill", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(<ip:port> | ID <id> | TYPE <type> | ADDR <ip:port> | LADDR <ip:port> | USER <name> | SKIPME (YES|NO) | MAXAGE <maxage>) ...", Summary: "Closes client connections.", Since: "2.4.0", Group: "connection", Complexity: "O(N)"},
			Local: a.old(clientKill),
		},
		{
			Name: "list", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "[TYPE <type>] [ID <id> [<id> ...]]", Summary: "Describes the client connections.", Since: "2.4.0", Group: "connection", Complexity: "O(N)"},
			Local: a.old(clientList),
		},
		{
			Name: "no-evict", Arity: 3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(ON|OFF)", Summary: "Protects the connection from eviction.", Since: "7.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientNoEvict),
		},
		{
			Name: "pause", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<timeout> [WRITE|ALL]", Summary: "Holds back commands for some time.", Since: "2.9.50", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientPause),
		},
		{
			Name: "reply", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(ON|OFF|SKIP)", Summary: "Switches the replies of the connection on or off.", Since: "3.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientReply),
		},
		{
			Name: "setname", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<name>", Summary: "Names the connection.", Since: "2.6.9", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientSetName),
		},
		{
			Name: "tracking", Arity: -3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "OFF", Summary: "Switches key tracking off; it cannot be switched on yet.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientTracking),
		},
		{
			Name: "trackinginfo", Arity: 2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Says how keys are tracked.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientTrackingInfo),
		},
		{
			Name: "unblock", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<clientid> [TIMEOUT|ERROR]", Summary: "Ends the wait of a blocked client.", Since: "5.0.0", Group: "connection", Complexity: "O(log N)"},
			Local: a.old(clientUnblock),
		},
		{
			Name: "unpause", Arity: 2, InPause: true, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Ends CLIENT PAUSE.", Since: "6.2.0", Group: "connection", Complexity: "O(N)"},
			Local: a.old(clientUnpause),
		},
		{
			Name: "setinfo", Arity: 4, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<attribute> <value>", Summary: "Tells the name or version of the client library.", Since: "7.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientSetInfo),
		},
		{
			Name: "no-touch", Arity: 3, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "(ON|OFF)", Summary: "Accepted: access times are not kept.", Since: "7.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(clientNoTouch),
		},
	}
}

func clientID(_ context.Context, c *call, _ [][]byte) resp.Value {
	return resp.Int(int64(c.Session.ID))
}

func clientGetName(_ context.Context, c *call, _ [][]byte) resp.Value {
	name := c.Session.Name()
	if name == "" {
		return resp.Null
	}
	return resp.BulkString(name)
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

func errClientName() resp.Value {
	return resp.Err("Client names cannot contain spaces, newlines or special characters.")
}

func clientSetName(_ context.Context, c *call, args [][]byte) resp.Value {
	if !printableName(args[2]) {
		return errClientName()
	}
	c.Session.SetName(string(args[2]))
	return resp.OK
}

func clientSetInfo(_ context.Context, c *call, args [][]byte) resp.Value {
	kind := lower(args[2])
	if kind != "lib-name" && kind != "lib-ver" {
		return resp.Err("Unrecognized option '%s'", command.Printable(args[2], 128))
	}
	if !printableName(args[3]) {
		return resp.Err("%s cannot contain spaces, newlines or special characters.", lower(args[2]))
	}
	c.Session.SetLibrary(kind, string(args[3]))
	return resp.OK
}

// onOff reads an argument that must be ON or OFF.
func onOff(arg []byte) (on, ok bool) {
	return command.Is(arg, "on"), command.Is(arg, "on") || command.Is(arg, "off")
}

func clientNoEvict(_ context.Context, c *call, args [][]byte) resp.Value {
	on, ok := onOff(args[2])
	if !ok {
		return errSyntax()
	}
	c.Session.SetNoEvict(on)
	return resp.OK
}

func clientNoTouch(_ context.Context, _ *call, args [][]byte) resp.Value {
	if _, ok := onOff(args[2]); !ok {
		return errSyntax()
	}
	return resp.OK
}

func clientReply(_ context.Context, c *call, args [][]byte) resp.Value {
	switch {
	case command.Is(args[2], "on"):
		c.Session.SetReplies(true)
	case command.Is(args[2], "off"):
		c.Session.SetReplies(false)
	case command.Is(args[2], "skip"):
		c.Session.SkipReply()
	default:
		return errSyntax()
	}
	return resp.OK
}

// clientTracking accepts OFF, which is what clients send that have no cache.
func clientTracking(_ context.Context, _ *call, args [][]byte) resp.Value {
	on, ok := onOff(args[2])
	switch {
	case !ok:
		return errSyntax()
	case on:
		return resp.Err("CLIENT TRACKING is not supported: AiKv does not send invalidations")
	default:
		return resp.OK
	}
}

func clientTrackingInfo(context.Context, *call, [][]byte) resp.Value {
	return resp.Map(
		resp.BulkString("flags"), resp.Set(resp.BulkString("off")),
		resp.BulkString("redirect"), resp.Int(-1),
		resp.BulkString("prefixes"), resp.Array(),
	)
}

func clientCaching(context.Context, *call, [][]byte) resp.Value {
	return resp.Err("CLIENT CACHING can be called only when the client is in tracking mode " +
		"with OPTIN or OPTOUT mode enabled")
}

func clientGetRedir(context.Context, *call, [][]byte) resp.Value { return resp.Int(-1) }

// clientLine describes a session as CLIENT LIST does, with the fields of Redis in
// its order. Those of buffers that a connection of AiKv does not have are 0: of
// arguments and transactions apart from the query buffer, and of fixed size.
func clientLine(s command.SessionInfo, now time.Time) string {
	b, events := s.Buffers, "r"
	if b.Output > 0 {
		events = "rw"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=-1"+
		" qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d"+
		" events=%s cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		s.ID, s.Addr, s.LAddr, s.FD, s.Name, seconds(now.Sub(s.Created)), seconds(now.Sub(s.LastActive)), clientFlags(s),
		b.Query, b.QueryFree, b.OutputPieces, b.Output, b.Query+b.QueryFree+b.Output,
		events, s.Command, s.Proto, s.LibName, s.LibVer)
}

// clientFlags are the letters that say what state a session is in.
func clientFlags(s command.SessionInfo) string {
	var flags []byte
	for _, f := range []struct {
		set    bool
		letter byte
	}{{s.Blocked, 'b'}, {s.ReadOnly, 'r'}, {s.NoEvict, 'e'}} {
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

func clientInfo(_ context.Context, c *call, _ [][]byte) resp.Value {
	return resp.Verbatim(clientLine(c.Session.Info(), time.Now()))
}

// clientTypes are the types that CLIENT LIST and KILL know; every connection of
// AiKv is "normal".
func clientType(arg []byte) (normal bool, bad *resp.Value) {
	switch lower(arg) {
	case "normal":
		return true, nil
	case "master", "replica", "slave", "pubsub":
		return false, nil
	default:
		v := resp.Err("Unknown client type '%s'", command.Printable(arg, 128))
		return false, &v
	}
}

func clientList(_ context.Context, c *call, args [][]byte) resp.Value {
	wanted := func(uint64) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) == 4 && command.Is(args[2], "type"):
		normal, bad := clientType(args[3])
		if bad != nil {
			return *bad
		}
		wanted = func(uint64) bool { return normal }
	case len(args) > 3 && command.Is(args[2], "id"):
		ids := make(map[uint64]bool)
		for _, arg := range args[3:] {
			id, ok := command.ParseInt(arg)
			if !ok || id < 1 {
				return resp.Err("Invalid client ID")
			}
			ids[uint64(id)] = true
		}
		wanted = func(id uint64) bool { return ids[id] }
	default:
		return errSyntax()
	}
	var list strings.Builder
	now := time.Now()
	for _, s := range c.Node.Sessions().List() {
		if wanted(s.ID) {
			list.WriteString(clientLine(s.Info(), now))
		}
	}
	return resp.Verbatim(list.String())
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

func parseKill(args [][]byte) (f killFilter, bad *resp.Value) {
	fail := func(v resp.Value) (killFilter, *resp.Value) { return f, &v }
	f.skipMe = true
	for ; len(args) > 0; args = args[2:] {
		if len(args) < 2 {
			return fail(errSyntax())
		}
		value := args[1]
		switch lower(args[0]) {
		case "id":
			id, ok := command.ParseInt(value)
			if !ok || id < 1 {
				return fail(resp.Err("client-id should be greater than 0"))
			}
			f.id = id
		case "maxage":
			age, ok := command.ParseInt(value)
			switch {
			case !ok:
				return fail(resp.Err("maxage is not an integer or out of range"))
			case age <= 0:
				return fail(resp.Err("maxage should be greater than 0"))
			}
			f.maxAge = age
		case "addr":
			f.addr = value
		case "laddr":
			f.laddr = value
		case "type":
			normal, bad := clientType(value)
			if bad != nil {
				return f, bad
			}
			f.abnormal = !normal
		case "user":
			if string(value) != "default" {
				return fail(resp.Err("No such user '%s'", command.Printable(value, 128)))
			}
		case "skipme":
			if !command.Is(value, "yes") && !command.Is(value, "no") {
				return fail(errSyntax())
			}
			f.skipMe = command.Is(value, "yes")
		default:
			return fail(errSyntax())
		}
	}
	return f, nil
}

// clientKill has an old form, CLIENT KILL addr:port, and one with filters.
func clientKill(_ context.Context, c *call, args [][]byte) resp.Value {
	oldForm := len(args) == 3
	f := killFilter{addr: args[2]}
	if !oldForm {
		var bad *resp.Value
		if f, bad = parseKill(args[2:]); bad != nil {
			return *bad
		}
	}
	killed, now := int64(0), time.Now()
	for _, s := range c.Node.Sessions().List() {
		if !f.matches(s.Info(), c.Session.ID, now) {
			continue
		}
		killed++
		if s.ID == c.Session.ID {
			c.Session.CloseAfterReply = true // it hears of it first
		} else {
			c.Node.Sessions().Kill(s.ID)
		}
	}
	switch {
	case !oldForm:
		return resp.Int(killed)
	case killed == 0:
		return resp.Err("No such client")
	default:
		return resp.OK
	}
}

func clientPause(_ context.Context, c *call, args [][]byte) resp.Value {
	if len(args) > 4 {
		return errSyntax()
	}
	ms, ok := command.ParseInt(args[2])
	switch {
	case !ok || ms > math.MaxInt64/int64(time.Millisecond):
		return resp.Err("timeout is not an integer or out of range")
	case ms < 0:
		return resp.Err("timeout is negative")
	}
	writesOnly := len(args) == 4 && command.Is(args[3], "write")
	if len(args) == 4 && !writesOnly && !command.Is(args[3], "all") {
		return resp.Err("CLIENT PAUSE mode must be WRITE or ALL")
	}
	c.Node.Sessions().Pause(time.Now().Add(time.Duration(ms)*time.Millisecond), writesOnly)
	return resp.OK
}

func clientUnblock(_ context.Context, c *call, args [][]byte) resp.Value {
	withError := false
	switch {
	case len(args) > 4:
		return errSubcommand(args)
	case len(args) == 4 && command.Is(args[3], "error"):
		withError = true
	case len(args) == 4 && !command.Is(args[3], "timeout"):
		return resp.Err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := command.ParseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	if id > 0 && c.Node.Sessions().Unblock(uint64(id), withError) {
		return resp.Int(1)
	}
	return resp.Int(0)
}

func clientUnpause(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Node.Sessions().Pause(time.Time{}, false)
	return resp.OK
}
