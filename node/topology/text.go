package topology

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// SlotRange is a maximal run of slots with one owner; both ends belong to it.
type SlotRange struct {
	Start, End uint16
	Shard      *Shard
}

// SlotRanges returns the assigned slots as ascending ranges. Views of the same
// topology give the same ranges on all nodes.
func (v *View) SlotRanges() []SlotRange {
	var ranges []SlotRange
	for n, owner := range &v.Owner {
		if owner == nil {
			continue
		}
		if last := len(ranges) - 1; last >= 0 && ranges[last].Shard == owner && int(ranges[last].End)+1 == n {
			ranges[last].End = uint16(n)
			continue
		}
		ranges = append(ranges, SlotRange{uint16(n), uint16(n), owner})
	}
	return ranges
}

// Master returns the node that is the shard's master, nil if it is unknown.
func (v *View) Master(s *Shard) *Node { return v.Node(s.Master) }

// Replicas returns the shard's data members other than its master, by id.
func (v *View) Replicas(s *Shard) []*Node {
	var replicas []*Node
	for _, n := range v.Nodes {
		if n.Shard == s && n.ID != s.Master {
			replicas = append(replicas, n)
		}
	}
	return replicas
}

// ShownEpoch returns the config epoch that CLUSTER NODES and CLUSTER INFO show
// for n: a replica shows its master's.
func (v *View) ShownEpoch(n *Node) uint64 {
	if n.Replica() {
		if master := v.Master(n.Shard); master != nil {
			return master.ConfigEpoch
		}
	}
	return n.ConfigEpoch
}

// NodesText is the reply to CLUSTER NODES: a line per node, by id, each ended
// by LF.
func NodesText(v *View, live Live, now time.Time) string {
	var b strings.Builder
	for _, n := range v.Nodes {
		b.WriteString(NodeLine(v, n, live, now))
		b.WriteByte('\n')
	}
	return b.String()
}

// NodeLine is the line of CLUSTER NODES for n, without its end:
//
//	<id> <host>:<port>@<busport>[,<hostname>] <flags> <master|-> <ping> <pong> <epoch> <link>[ <slots>…][ <marks>…]
//
// Marks are shown of the node itself alone, as in Redis.
// Ping is 0 unless something was sent to the node since it was last heard of;
// both times are unix ms on the wall clock of now.
func NodeLine(v *View, n *Node, live Live, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s:%d@%d", n.ID, n.Address.Host, n.Address.Port, n.Address.BusPort)
	if n.Address.Hostname != "" {
		b.WriteString("," + n.Address.Hostname)
	}
	contact := v.contact(n, live)
	b.WriteString(" " + flags(v, n, contact))
	if n.Replica() {
		b.WriteString(" " + n.Shard.Master.String())
	} else {
		b.WriteString(" -")
	}
	var ping int64
	if contact.Ping.After(contact.Pong) {
		ping = unixMilli(contact.Ping, now)
	}
	link := "disconnected"
	if contact.Connected {
		link = "connected"
	}
	fmt.Fprintf(&b, " %d %d %d %s", ping, unixMilli(contact.Pong, now), v.ShownEpoch(n), link)
	if n.Shard != nil && !n.Replica() {
		for _, r := range n.Shard.Slots.Ranges() {
			b.WriteString(" " + r.String())
		}
		if n.ID == v.Self {
			v.writeMarks(&b, n.Shard.ID)
		}
	}
	return b.String()
}

// writeMarks writes the slots that are open on a shard: "[5->-peer]" is being migrated
// there, "[5-<-peer]" imported from there.
func (v *View) writeMarks(b *strings.Builder, group GroupID) {
	for _, m := range v.MarksOf(group) {
		arrow := "->-"
		if m.Kind == Importing {
			arrow = "-<-"
		}
		fmt.Fprintf(b, " [%d%s%s]", m.Slot, arrow, m.Peer)
	}
}

// contact returns what is known of the link to n; a node is always connected
// to itself, and does not measure that.
func (v *View) contact(n *Node, live Live) Contact {
	if n.ID == v.Self {
		return Contact{Connected: true}
	}
	return live.Contact(n.ID)
}

// unixMilli tells when t was on the wall clock that now shows, however often
// that was set since t. The zero time is 0.
func unixMilli(t, now time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return now.Add(t.Sub(now)).UnixMilli()
}

// flags returns the flags of n in Redis's order.
func flags(v *View, n *Node, contact Contact) string {
	var flags []string
	if n.ID == v.Self {
		flags = append(flags, "myself")
	}
	if n.Replica() {
		flags = append(flags, "slave")
	} else {
		flags = append(flags, "master")
	}
	switch {
	case n.ID == v.Self: // who can answer has not failed
	case n.Failed:
		flags = append(flags, "fail")
	case contact.Suspect:
		flags = append(flags, "fail?")
	}
	if n.Replica() && !n.Synced() {
		flags = append(flags, "loading") // not Redis's, where nobody else knows it
	}
	return strings.Join(flags, ",")
}

// MessageCounter is what a Live may be besides: then CLUSTER INFO tells how many
// messages went between the nodes.
type MessageCounter interface {
	Messages() (sent, received uint64)
}

// Healthy reports what CLUSTER INFO calls cluster_state:ok: MetaRaft has a
// quorum and, with fullCoverage, every slot has an owner and every shard that
// owns slots is served.
func (v *View) Healthy(fullCoverage bool) bool {
	if !v.Quorum || !fullCoverage {
		return v.Quorum
	}
	if v.Assigned() != slot.Count {
		return false
	}
	for _, s := range v.Shards {
		if !s.Slots.Empty() && !v.Served(s) {
			return false
		}
	}
	return true
}

// InfoText is the reply to CLUSTER INFO; its lines end in CRLF. fullCoverage is
// cluster-require-full-coverage. Slots count as fail while nobody serves their
// shard, as pfail while their master is marked as failed, or this node suspects
// it, and the shard has not been noticed to be without a leader.
func InfoText(v *View, live Live, fullCoverage bool) string {
	state := "fail"
	if v.Healthy(fullCoverage) {
		state = "ok"
	}
	var assigned, pfail, fail, size int
	for _, s := range v.Shards {
		count := s.Slots.Len()
		if count == 0 {
			continue
		}
		assigned += count
		size++
		switch master := v.Master(s); {
		case !v.Served(s):
			fail += count
		case master.ID != v.Self && master.Failed || v.contact(master, live).Suspect:
			pfail += count
		}
	}
	var myEpoch uint64
	if me := v.Me(); me != nil {
		myEpoch = v.ShownEpoch(me)
	}
	var sent, received uint64
	if counter, ok := live.(MessageCounter); ok {
		sent, received = counter.Messages()
	}
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + ":" + value + "\r\n") }
	line("cluster_state", state)
	line("cluster_slots_assigned", strconv.Itoa(assigned))
	line("cluster_slots_ok", strconv.Itoa(assigned-pfail-fail))
	line("cluster_slots_pfail", strconv.Itoa(pfail))
	line("cluster_slots_fail", strconv.Itoa(fail))
	line("cluster_known_nodes", strconv.Itoa(len(v.Nodes)))
	line("cluster_size", strconv.Itoa(size))
	line("cluster_current_epoch", strconv.FormatUint(v.Epoch, 10))
	line("cluster_my_epoch", strconv.FormatUint(myEpoch, 10))
	line("cluster_stats_messages_sent", strconv.FormatUint(sent, 10))
	line("cluster_stats_messages_received", strconv.FormatUint(received, 10))
	// A full queue drops its frames, never the link.
	line("total_cluster_links_buffer_limit_exceeded", "0")
	active, trimmed := v.moves()
	line("cluster_slot_migration_active_tasks", strconv.Itoa(active))
	line("cluster_slot_migration_active_trim_running", strconv.Itoa(trimmed))
	if v.Joining != "" {
		line("cluster_joining", v.Joining)
		line("cluster_joining_hint", "if that node is gone for good, CLUSTER RESET ends the join")
	}
	return b.String()
}
