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
func clusterMetaRaft(ctx context.Context, c *call, args [][]byte) resp.Value {
	switch sub := lower(args[2]); {
	case sub == "members" && len(args) == 3:
		return metaMembers(ctx, c)
	case sub == "status" && len(args) == 3:
		return metaStatus(ctx, c)
	case sub == "addlearner" && len(args) == 5:
		return metaAddLearner(ctx, c, args[3], args[4])
	case sub == "promote" && len(args) > 3:
		return metaPromote(ctx, c, args[3:])
	case sub == "members" || sub == "status" || sub == "addlearner" || sub == "promote":
		return errArityValue("cluster|metaraft " + sub)
	default:
		return resp.Err("unknown METARAFT subcommand '%s'. Try CLUSTER HELP.", command.Printable(args[2], 128))
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

func metaMembers(ctx context.Context, c *call) resp.Value {
	var lines strings.Builder
	for _, m := range c.Node.MetaStatus(ctx).Members {
		lines.WriteString(memberLine(m) + "\n")
	}
	return resp.Verbatim(lines.String())
}

func metaStatus(ctx context.Context, c *call) resp.Value {
	s := c.Node.MetaStatus(ctx)
	v := c.Node.View(ctx)
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
	return resp.Verbatim(w.String())
}

func metaAddLearner(ctx context.Context, c *call, arg, addr []byte) resp.Value {
	id, err := metaNodeID(arg)
	if err != nil {
		return resp.FromError(err)
	}
	if host, port, err := net.SplitHostPort(string(addr)); err != nil || host == "" || !validPort(port) {
		return resp.Err("Invalid Raft address '%s': host:port of the node's Raft listener is wanted",
			command.Printable(addr, 128))
	}
	return okOr(c.Node.MetaAddLearner(ctx, id, string(addr)))
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func metaPromote(ctx context.Context, c *call, args [][]byte) resp.Value {
	ids := make([]topology.NodeID, len(args))
	for i, arg := range args {
		id, err := metaNodeID(arg)
		if err != nil {
			return resp.FromError(err)
		}
		if slices.Contains(ids[:i], id) {
			return resp.Err("Node %s specified multiple times", id)
		}
		ids[i] = id
	}
	warning, err := c.Node.MetaPromote(ctx, ids)
	switch {
	case err != nil:
		return resp.FromError(err)
	case warning != "":
		return resp.Simple("OK " + warning)
	default:
		return resp.OK
	}
}
