package admin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// clusterMetaRaft is CLUSTER METARAFT, which has subcommands of its own: the
// table knows two levels, as Redis does.
func (a *admin) clusterMetaRaft(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	arg := args.Next()
	switch sub, n := lower(arg), args.Len(); {
	case sub == "members" && n == 0:
		r.Verbatim(a.metaMembers(ctx))
		return nil
	case sub == "status" && n == 0:
		r.Verbatim(a.metaStatus(ctx))
		return nil
	case sub == "addlearner" && n == 2:
		return a.metaAddLearner(ctx, args, r)
	case sub == "promote" && n > 0:
		return a.metaPromote(ctx, args, r)
	case sub == "members" || sub == "status" || sub == "addlearner" || sub == "promote":
		return command.Errorf("wrong number of arguments for '%s %s' command", args.Name(), sub)
	default:
		return command.Errorf("unknown METARAFT subcommand '%s'. Try CLUSTER HELP.", command.Printable(arg, 128))
	}
}

// metaNodeID reads a node's id as METARAFT takes it: forty characters are hex,
// as CLUSTER NODES prints it, fewer are decimal.
func metaNodeID(arg []byte) (topology.NodeID, error) {
	text := strings.ToLower(string(arg))
	if len(text) == len(topology.NodeID(0).String()) {
		if id, err := topology.ParseNodeID(text); err == nil {
			return id, nil
		}
	} else if n, err := strconv.ParseUint(text, 10, 64); err == nil && n != 0 {
		return topology.NodeID(n), nil
	}
	return 0, resp.Error("ERR Invalid node id '" + string(command.Printable(arg, 128)) +
		"': forty hex digits, as CLUSTER MYID prints them, or a decimal number")
}

// memberLine describes a member:
//
//	<hex id> <decimal id> <raft addr> <voter|learner> <leader|follower> match=<index|-> last_contact_ms=<n|->[ name=<name>]
func memberLine(m MetaMember) string {
	kind, role := "learner", RoleFollower
	if m.Voter {
		kind = "voter"
	}
	if m.Leader {
		role = RoleLeader
	}
	line := fmt.Sprintf("%s %d %s %s %s match=%s last_contact_ms=%s",
		m.Node, uint64(m.Node), m.Addr, kind, role, known(m.Match), milliseconds(m.LastContact))
	if m.Name != "" {
		line += " name=" + m.Name
	}
	return line
}

// known shows a log index, of which 0 says that it is not known.
func known(index uint64) string {
	if index == 0 {
		return "-"
	}
	return strconv.FormatUint(index, 10)
}

func milliseconds(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

func (a *admin) metaMembers(ctx context.Context) string {
	var lines strings.Builder
	for _, m := range a.node.MetaStatus(ctx).Members {
		lines.WriteString(memberLine(m) + "\n")
	}
	return lines.String()
}

func (a *admin) metaStatus(ctx context.Context) string {
	s := a.node.MetaStatus(ctx)
	v := a.node.View(ctx)
	voters := 0
	for _, m := range s.Members {
		if m.Voter {
			voters++
		}
	}
	leader := "-"
	if s.Leader != 0 {
		leader = s.Leader.String()
	}
	var w infoWriter
	w.line("leader", leader)
	w.line("leader_decimal", known(uint64(s.Leader)))
	w.line("role", s.Role)
	w.line("quorum", v.Quorum)
	w.line("cluster_id", fmt.Sprintf("%016x", v.ClusterID))
	w.line("term", s.Term)
	w.line("commit", s.Commit)
	w.line("applied", s.Applied)
	w.line("voters", voters)
	w.line("learners", len(s.Members)-voters)
	for i, m := range s.Members {
		w.line("member"+strconv.Itoa(i), memberLine(m))
	}
	return w.String()
}

func (a *admin) metaAddLearner(ctx context.Context, args *command.Args, r *resp.Reply) error {
	id, err := metaNodeID(args.Next())
	if err != nil {
		return err
	}
	addr := args.Next()
	if host, port, err := net.SplitHostPort(string(addr)); err != nil || host == "" || !validPort(port) {
		return command.Errorf("Invalid Raft address '%s': host:port of the node's Raft listener is wanted",
			command.Printable(addr, 128))
	}
	return ok(r, a.node.MetaAddLearner(ctx, id, string(addr)))
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func (a *admin) metaPromote(ctx context.Context, args *command.Args, r *resp.Reply) error {
	var ids []topology.NodeID
	for args.More() {
		id, err := metaNodeID(args.Next())
		if err != nil {
			return err
		}
		if slices.Contains(ids, id) {
			return command.Errorf("Node %s specified multiple times", id)
		}
		ids = append(ids, id)
	}
	warning, err := a.node.MetaPromote(ctx, ids)
	if err == nil && warning != "" {
		r.Simple("OK " + warning)
		return nil
	}
	return ok(r, err)
}
