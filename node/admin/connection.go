package admin

import (
	"context"
	"crypto/subtle"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// connectionCommands returns the rows.
func (a *admin) connectionCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "ping", Arity: -1, Flags: command.FlagFast, ACL: command.CatConnection,
			Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "[message]", Summary: "Answers PONG, or the message.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(ping),
		},
		{
			Name: "echo", Arity: 2, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "message", Summary: "Returns the message.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(echo),
		},
		{
			Name: "quit", Arity: -1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			InMulti: true,
			Doc:     command.Doc{Summary: "Closes the connection once the reply is out.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local:   a.old(quit),
		},
		{
			Name: "reset", Arity: 1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			InMulti: true,
			Doc:     command.Doc{Summary: "Puts the connection into the state of a new one.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local:   a.old(reset),
		},
		{
			Name: "auth", Arity: -2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "[username] password", Summary: "Authenticates the connection.", Since: "1.0.0", Group: "connection", Complexity: "O(N)"},
			Local: a.old(auth),
		},
		{
			Name: "hello", Arity: -1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "[protover [AUTH username password] [SETNAME name]]", Summary: "Switches the protocol version; optionally authenticates and names the connection.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(hello),
		},
		{
			Name: "select", Arity: 2, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "index", Summary: "Selects a database; a cluster has database 0 alone.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.old(selectDB),
		},
		{
			Name: "client", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about client connections.", Since: "2.4.0", Group: "connection", Complexity: "Depends on subcommand"},
			Subcommands: a.clientSubcommands(),
		},
		{
			Name: "readonly", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lets the connection read from a replica.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(readOnly),
		},
		{
			Name: "readwrite", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Undoes READONLY.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(readWrite),
		},
		{
			Name: "asking", Arity: 1, KeepsAsking: true, Flags: command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lets the next command use a slot that is being imported.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(asking),
		},
	}
}

func ping(_ context.Context, _ *call, args [][]byte) resp.Value {
	switch len(args) {
	case 1:
		return resp.Simple("PONG")
	case 2:
		return bulkCopy(args[1])
	default:
		return errArityValue("ping")
	}
}

func echo(_ context.Context, _ *call, args [][]byte) resp.Value { return bulkCopy(args[1]) }

// bulkCopy returns an argument as a reply, which outlives the arguments.
func bulkCopy(arg []byte) resp.Value { return resp.BulkString(string(arg)) }

func quit(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Session.CloseAfterReply = true
	return resp.OK
}

func reset(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Session.Reset(c.Node.Config().Value("requirepass") == "")
	return resp.Simple("RESET")
}

// selectDB accepts database 0, the only one of a cluster.
func selectDB(_ context.Context, _ *call, args [][]byte) resp.Value {
	n, ok := command.ParseInt(args[1])
	switch {
	case !ok:
		return errNotInteger()
	case n != 0:
		return resp.Err("SELECT is not allowed in cluster mode")
	default:
		return resp.OK
	}
}

func readOnly(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Session.ReadOnly.Store(true)
	return resp.OK
}

func readWrite(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Session.ReadOnly.Store(false)
	return resp.OK
}

func asking(_ context.Context, c *call, _ [][]byte) resp.Value {
	c.Session.Asking = true
	return resp.OK
}

func auth(_ context.Context, c *call, args [][]byte) resp.Value {
	user, password := []byte("default"), args[1]
	switch {
	case len(args) > 3:
		return errSyntax()
	case len(args) == 3:
		user, password = args[1], args[2]
	case c.Node.Config().Value("requirepass") == "":
		return resp.Err("AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	}
	if !authenticate(c, user, password) {
		return errWrongPass()
	}
	return resp.OK
}

func errWrongPass() resp.Value {
	return resp.FromError(resp.Error("WRONGPASS invalid username-password pair or user is disabled."))
}

// authenticate checks a password of the one user, "default"; without a
// required password any will do.
func authenticate(c *call, user, password []byte) bool {
	want := c.Node.Config().Value("requirepass")
	if string(user) != "default" || want != "" && subtle.ConstantTimeCompare([]byte(want), password) == 0 {
		return false
	}
	c.Session.Authenticated = true
	return true
}

// helloOptions are HELLO's.
type helloOptions struct {
	proto          int64 // 0: keep
	user, password []byte
	name           []byte
}

func parseHello(args [][]byte) (o helloOptions, bad *resp.Value) {
	fail := func(v resp.Value) (helloOptions, *resp.Value) { return o, &v }
	if len(args) < 2 {
		return o, nil
	}
	n, ok := command.ParseInt(args[1])
	if !ok {
		return fail(resp.Err("Protocol version is not an integer or out of range"))
	}
	if n != 2 && n != 3 {
		return fail(resp.FromError(resp.Error("NOPROTO unsupported protocol version")))
	}
	o.proto = n
	for rest := args[2:]; len(rest) > 0; {
		switch {
		case command.Is(rest[0], "auth") && len(rest) >= 3:
			o.user, o.password = rest[1], rest[2]
			rest = rest[3:]
		case command.Is(rest[0], "setname") && len(rest) >= 2:
			if !printableName(rest[1]) {
				return fail(errClientName())
			}
			o.name = rest[1]
			rest = rest[2:]
		default:
			return fail(resp.Err("Syntax error in HELLO option '%s'", command.Printable(rest[0], 128)))
		}
	}
	return o, nil
}

func hello(_ context.Context, c *call, args [][]byte) resp.Value {
	o, bad := parseHello(args)
	if bad != nil {
		return *bad
	}
	if o.user != nil && !authenticate(c, o.user, o.password) {
		return errWrongPass()
	}
	if !c.Session.Authenticated && c.Node.Config().Value("requirepass") != "" {
		return resp.FromError(resp.Error("NOAUTH HELLO must be called with the client already authenticated, " +
			"otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and " +
			"select the RESP protocol version at the same time"))
	}
	if o.name != nil {
		c.Session.SetName(string(o.name))
	}
	if o.proto != 0 {
		c.Session.SetProto(int(o.proto))
	}
	return resp.Map(
		resp.BulkString("server"), resp.BulkString("redis"),
		resp.BulkString("version"), resp.BulkString(RedisVersion),
		resp.BulkString("proto"), resp.Int(int64(c.Session.Proto())),
		resp.BulkString("id"), resp.Int(int64(c.Session.ID)),
		resp.BulkString("mode"), resp.BulkString("cluster"),
		resp.BulkString("role"), resp.BulkString(localRole(c.Node)),
		resp.BulkString("modules"), resp.Array(),
	)
}

// RedisVersion is the version of Redis whose behaviour AiKv has.
const RedisVersion = "7.0.15"

// localRole tells, without asking any other node, whether this one follows
// another one's data.
func localRole(n Node) string {
	for _, s := range n.ShardStatuses() {
		if s.Kind == topology.Data && s.Role != RoleLeader {
			return "replica"
		}
	}
	return "master"
}
