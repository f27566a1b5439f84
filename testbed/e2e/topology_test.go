package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// clusterMap is what one node's CLUSTER NODES says.
type clusterMap struct {
	self  string
	lines map[string]nodeLine // by id
	owner map[int]string      // slot → id
	// text is the reply without what may differ between nodes: who asks, times,
	// link states.
	text string
}

type nodeLine struct {
	id, flags, master string
	port              int
}

func (l nodeLine) replica() bool { return l.master != "-" }

// has reports whether the id is a member.
func (m *clusterMap) has(id string) bool {
	_, ok := m.lines[id]
	return ok
}

// shardOf returns the id of the master of the node's shard, its own if it is one.
func (m *clusterMap) shardOf(id string) string {
	if l := m.lines[id]; l.replica() {
		return l.master
	}
	return id
}

// parseMap reads a reply to CLUSTER NODES; a slot that comes twice is an error.
func parseMap(reply string) (*clusterMap, error) {
	m := &clusterMap{lines: make(map[string]nodeLine), owner: make(map[int]string)}
	var common []string
	for text := range strings.Lines(reply) {
		fields := strings.Fields(text)
		if len(fields) < 8 {
			return nil, fmt.Errorf("a line of CLUSTER NODES has %d fields: %q", len(fields), text)
		}
		address, _, _ := strings.Cut(fields[1], "@")
		port, err := strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
		if err != nil {
			return nil, fmt.Errorf("address %q", fields[1])
		}
		l := nodeLine{id: fields[0], flags: strings.TrimPrefix(fields[2], "myself,"), master: fields[3], port: port}
		if l.flags != fields[2] {
			m.self = l.id
		}
		m.lines[l.id] = l
		if err := m.take(l.id, fields[8:]); err != nil {
			return nil, err
		}
		fields[2], fields[4], fields[5], fields[7] = l.flags, "", "", ""
		common = append(common, strings.Join(fields, " "))
	}
	slices.Sort(common)
	m.text = strings.Join(common, "\n")
	return m, nil
}

// take gives the slots of a line's tokens to the node.
func (m *clusterMap) take(id string, tokens []string) error {
	for _, token := range tokens {
		first, last, isRange := strings.Cut(token, "-")
		start, err := strconv.Atoi(first)
		end := start
		if err == nil && isRange {
			end, err = strconv.Atoi(last)
		}
		if err != nil {
			return fmt.Errorf("slots %q: %w", token, err)
		}
		for slot := start; slot <= end; slot++ {
			if other, taken := m.owner[slot]; taken {
				return fmt.Errorf("slot %d has two owners, %s and %s", slot, other, id)
			}
			m.owner[slot] = id
		}
	}
	return nil
}

// read returns the map that a node prints.
func (p *process) read() (*clusterMap, error) {
	reply, err := p.ask("cluster", "nodes")
	if err != nil {
		return nil, fmt.Errorf("node %d: %w", p.index, err)
	}
	m, err := parseMap(reply)
	if err != nil {
		return nil, fmt.Errorf("node %d: %w", p.index, err)
	}
	return m, nil
}

// settledMaps returns the maps of all nodes if nothing is under way: members of
// one cluster print the same, nobody is failing, MetaRaft and every shard have
// the members that they should have, all caught up.
func (f *fleet) settledMaps() ([]*clusterMap, error) {
	maps := make([]*clusterMap, len(f.nodes))
	for i, p := range f.nodes {
		var err error
		if maps[i], err = p.read(); err != nil {
			return nil, err
		}
	}
	for i, a := range maps {
		for j, b := range maps {
			if (a.has(b.self) || b.has(a.self)) && a.text != b.text {
				return nil, fmt.Errorf("nodes %d and %d print different maps:\n%s\n\n%s", i, j, a.text, b.text)
			}
		}
		if strings.Contains(a.text, "fail") {
			return nil, fmt.Errorf("node %d sees a failing node:\n%s", i, a.text)
		}
	}
	for _, p := range f.nodes {
		if err := p.groupsSettled(); err != nil {
			return nil, err
		}
	}
	return maps, nil
}

// groupsSettled looks at what the node leads.
func (p *process) groupsSettled() error {
	status, err := p.ask("cluster", "metaraft", "status")
	if err != nil {
		return fmt.Errorf("node %d: %w", p.index, err)
	}
	if !strings.Contains(status, "quorum:true") {
		return fmt.Errorf("node %d: MetaRaft has no quorum:\n%s", p.index, status)
	}
	info, err := p.ask("info", "raft")
	if err != nil {
		return fmt.Errorf("node %d: %w", p.index, err)
	}
	for line := range strings.Lines(info) {
		if strings.Contains(line, "leader="+strings.Repeat("0", 40)) {
			return fmt.Errorf("node %d: a group has no leader: %s", p.index, line)
		}
		if strings.Contains(line, "role=leader") && (!strings.Contains(line, "settled=1") || strings.Contains(line, ",lag=") && !strings.Contains(line, ",lag=0,")) {
			return fmt.Errorf("node %d: a group waits for its members: %s", p.index, line)
		}
	}
	return nil
}

// settle waits until nothing is under way and returns the nodes' maps.
func (f *fleet) settle() []*clusterMap {
	f.t.Helper()
	var maps []*clusterMap
	eventually(f.t, func() (err error) {
		maps, err = f.settledMaps()
		return err
	})
	return maps
}

// united waits until all nodes are one cluster of exactly them.
func (f *fleet) united() *clusterMap {
	f.t.Helper()
	var maps []*clusterMap
	eventually(f.t, func() (err error) {
		if maps, err = f.settledMaps(); err != nil {
			return err
		}
		for i, m := range maps {
			if len(m.lines) != len(f.nodes) || m.text != maps[0].text {
				return fmt.Errorf("node %d sees %d nodes of %d", i, len(m.lines), len(f.nodes))
			}
		}
		return nil
	})
	return maps[0]
}
