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
			Local: a.ping,
		},
		{
			Name: "echo", Arity: 2, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "message", Summary: "Returns the message.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.echo,
		},
		{
			Name: "quit", Arity: -1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Multi: command.MultiAtOnce,
			Doc:   command.Doc{Summary: "Closes the connection once the reply is out.", Since: "1.0.0", Group: "connection", Complexity: "O(1)", DeprecatedSince: "7.2.0", ReplacedBy: "just closing the connection"},
			Local: a.quit,
		},
		{
			Name: "reset", Arity: 1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Multi: command.MultiAtOnce,
			Doc:   command.Doc{Summary: "Puts the connection into the state of a new one.", Since: "6.2.0", Group: "connection", Complexity: "O(1)"},
			Local: a.reset,
		},
		{
			Name: "auth", Arity: -2, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "[username] password", Summary: "Authenticates the connection.", Since: "1.0.0", Group: "connection", Complexity: "O(N)"},
			Local: a.auth, Secrets: authSecrets,
		},
		{
			Name: "hello", Arity: -1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast | command.FlagNoAuth | command.FlagAllowBusy, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "[protover [AUTH username password] [SETNAME name]]", Summary: "Switches the protocol version; optionally authenticates and names the connection.", Since: "6.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.hello, SwitchesTo: a.helloSwitchesTo, Secrets: helloSecrets,
		},
		{
			Name: "select", Arity: 2, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "index", Summary: "Selects a database; a cluster has database 0 alone.", Since: "1.0.0", Group: "connection", Complexity: "O(1)"},
			Local: a.selectDB,
		},
		{
			Name: "client", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about client connections.", Since: "2.4.0", Group: "connection", Complexity: "Depends on subcommand"},
			Subcommands: a.clientSubcommands(),
		},
		{
			Name: "readonly", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lets the connection read from a replica.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.readOnly,
		},
		{
			Name: "readwrite", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Undoes READONLY.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.readWrite,
		},
		{
			Name: "asking", Arity: 1, KeepsAsking: true, Flags: command.FlagFast, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lets the next command use a slot that is being imported.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.asking,
		},
	}
}

func (a *admin) ping(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	switch args.Len() {
	case 0:
		r.Simple("PONG")
	case 1:
		r.Bulk(args.Next())
	default:
		return args.ErrArity()
	}
	return nil
}

func (a *admin) echo(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	r.Bulk(args.Next())
	return nil
}

func (a *admin) quit(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Session.CloseAfterReply = true
	r.OK()
	return nil
}

func (a *admin) reset(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Discard()
	e.EndMonitor()
	e.Session.Reset(a.node.Config().Value("requirepass") == "")
	r.Simple("RESET")
	return nil
}

// selectDB accepts database 0, the only one of a cluster.
func (a *admin) selectDB(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	n, err := args.Int()
	switch {
	case err != nil:
		return err
	case n != 0:
		return command.Errorf("SELECT is not allowed in cluster mode")
	}
	r.OK()
	return nil
}

func (a *admin) readOnly(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Session.ReadOnly.Store(true)
	r.OK()
	return nil
}

func (a *admin) readWrite(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Session.ReadOnly.Store(false)
	r.OK()
	return nil
}

func (a *admin) asking(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Session.Asking = true
	r.OK()
	return nil
}

func (a *admin) auth(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	user := []byte("default")
	switch {
	case args.Len() > 2:
		return command.ErrSyntax
	case args.Len() == 2:
		user = args.Next()
	case a.node.Config().Value("requirepass") == "":
		return command.Errorf("AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	}
	if !a.authenticate(e, user, args.Next()) {
		return errWrongPass
	}
	r.OK()
	return nil
}

const (
	errWrongPass = resp.Error("WRONGPASS invalid username-password pair or user is disabled.")
	errNoProto   = resp.Error("NOPROTO unsupported protocol version")
	errHello     = resp.Error("NOAUTH HELLO must be called with the client already authenticated, " +
		"otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and " +
		"select the RESP protocol version at the same time")
)

// authenticate checks a password of the one user, "default"; without a
// required password any will do.
func (a *admin) authenticate(e *command.Env, user, password []byte) bool {
	if !a.knows(user, password) {
		return false
	}
	e.Session.Authenticated = true
	return true
}

// knows reports whether a user has that password.
func (a *admin) knows(user, password []byte) bool {
	want := a.node.Config().Value("requirepass")
	return string(user) == "default" && (want == "" || subtle.ConstantTimeCompare([]byte(want), password) == 1)
}

// helloOptions are HELLO's.
type helloOptions struct {
	proto          int64 // 0: keep
	user, password []byte
	name           []byte
}

func takeHello(args *command.Args) (o helloOptions, err error) {
	if !args.More() {
		return o, nil
	}
	if o.proto, err = args.Int(); err != nil {
		return o, command.Errorf("Protocol version is not an integer or out of range")
	}
	if o.proto != 2 && o.proto != 3 {
		return o, errNoProto
	}
	for args.More() {
		switch {
		case args.IsWith("auth", 2):
			o.user, o.password = args.Next(), args.Next()
		case args.IsWith("setname", 1):
			if o.name = args.Next(); !printableName(o.name) {
				return o, errClientName
			}
		default:
			return o, command.Errorf("Syntax error in HELLO option '%s'", command.Printable(args.Next(), 128))
		}
	}
	return o, nil
}

// helloSwitchesTo is HELLO's command.Command.SwitchesTo.
func (a *admin) helloSwitchesTo(args *command.Args) int {
	o, err := takeHello(args)
	if err != nil || o.user != nil && !a.knows(o.user, o.password) {
		return 0
	}
	return int(o.proto)
}

func (a *admin) hello(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	o, err := takeHello(args)
	if err != nil {
		return err
	}
	if o.user != nil && !a.authenticate(e, o.user, o.password) {
		return errWrongPass
	}
	if !e.Session.Authenticated && a.node.Config().Value("requirepass") != "" {
		return errHello
	}
	if o.name != nil {
		e.Session.SetName(string(o.name))
	}
	if o.proto != 0 {
		e.Session.SetProto(int(o.proto))
		r.SetProto(int(o.proto)) // this reply is the first one
	}
	r.Map(7)
	bulks(r, "server", "redis", "version", RedisVersion)
	r.BulkString("proto")
	r.Int(int64(e.Session.Proto()))
	r.BulkString("id")
	r.Int(int64(e.Session.ID))
	bulks(r, "mode", "cluster", "role", localRole(a.node))
	r.BulkString("modules")
	r.Array(0)
	return nil
}

// bulks writes bulk strings.
func bulks(r *resp.Reply, texts ...string) {
	for _, s := range texts {
		r.BulkString(s)
	}
}

// RedisVersion is the version of Redis whose behaviour AiKv has.
const RedisVersion = "7.2.4"

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

// authSecrets hides all that AUTH has.
func authSecrets(args [][]byte, hide func(i int)) {
	for i := 1; i < len(args); i++ {
		hide(i)
	}
}

// helloSecrets hides what stands behind HELLO's AUTH.
func helloSecrets(args [][]byte, hide func(i int)) {
	for i := 2; i+2 < len(args); i++ {
		if command.Is(args[i], "auth") {
			hide(i + 1)
			hide(i + 2)
			i += 2
		}
	}
}
