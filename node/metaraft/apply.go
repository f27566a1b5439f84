package metaraft

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/topology"
)

// applyProposal returns the state after p and its outcome. It depends on
// nothing but its arguments; s is not changed, and returned as it is when
// nothing has to be remembered.
func applyProposal(s *State, index uint64, time int64, p Proposal) (*State, Outcome) {
	if o, ok := s.remembered(p.Origin); ok {
		return s, o
	}
	d := newDraft(s, index, time)
	o := d.change(p.Change)
	o.Index = index
	if o.Error != "" && !d.keep {
		if p.Origin.Node == 0 {
			return s, o
		}
		d.undo()
	} else {
		d.derive()
	}
	d.remember(p.Origin, o)
	return d.s, o
}

// maxCounter bounds the counters that a proposal may bring along: they are counted
// on from, and must never begin again at 0.
const maxCounter = 1 << 63

// badAddress returns what is wrong with an announced address, empty if nothing
// is: its parts stand in lines of text, between spaces, commas and signs.
func badAddress(a *topology.Address) string {
	for _, text := range []string{a.Host, a.Hostname, a.Raft, a.Nodename} {
		bad := strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' || r == '@' })
		if bad || len(text) > 300 {
			return fmt.Sprintf("ERR %q is no address", text[:min(len(text), 300)])
		}
	}
	return ""
}

// change lets c work on the draft unless the state of the cluster forbids any.
func (d *draft) change(c Change) Outcome {
	switch c.(type) {
	case *Init, *Admit, *BurnToken, *Freeze, *Unfreeze, *Dissolve:
		// They look at that themselves.
		return c.apply(d)
	}
	if o := d.closed(); o != nil {
		return *o
	}
	return c.apply(d)
}

// closed returns the refusal of any change in this state of the cluster, nil if
// changes are welcome.
func (d *draft) closed() *Outcome {
	switch {
	case d.s.ClusterID == 0:
		return &Outcome{Error: "CLUSTERDOWN MetaRaft has no cluster yet"}
	case d.s.Frozen != nil:
		return &Outcome{Error: "TRYAGAIN the node is joining another cluster; if that one is gone for good, CLUSTER RESET ends the join"}
	case d.s.Dissolved != nil:
		return &Outcome{Error: "TRYAGAIN the cluster has dissolved to join another one"}
	}
	return nil
}

// remembered returns the outcome of a proposal that was applied before, or
// Uncertain where that was forgotten.
func (s *State) remembered(origin Origin) (Outcome, bool) {
	if origin.Node == 0 {
		return Outcome{}, false
	}
	i, ok := s.findOrigin(origin.Node)
	if !ok {
		return Outcome{}, false
	}
	for _, session := range s.Origins[i].Sessions {
		if session.Nonce != origin.Nonce {
			continue
		}
		if j, ok := session.find(origin.Seq); ok {
			return session.Results[j].Outcome, true
		}
		if origin.Seq <= session.Floor {
			return Outcome{Error: string(Uncertain)}, true
		}
	}
	return Outcome{}, false
}

func (s *State) findOrigin(node topology.NodeID) (int, bool) {
	return slices.BinarySearchFunc(s.Origins, node, func(r OriginRecord, id topology.NodeID) int {
		return cmp.Compare(r.Node, id)
	})
}

func (s *OriginSession) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.Results, seq, func(r OriginResult, seq uint64) int {
		return cmp.Compare(r.Seq, seq)
	})
}

// remember stores the outcome for retries with the same origin.
func (d *draft) remember(origin Origin, o Outcome) {
	if origin.Node == 0 {
		return
	}
	i, ok := d.s.findOrigin(origin.Node)
	if !ok {
		d.s.Origins = slices.Insert(d.s.Origins, i, OriginRecord{Node: origin.Node})
	}
	record := &d.s.Origins[i]
	record.Last = d.index
	// Sessions are shared with earlier states: copy what changes.
	sessions := slices.Clone(record.Sessions)
	at := slices.IndexFunc(sessions, func(s OriginSession) bool { return s.Nonce == origin.Nonce })
	if at < 0 {
		sessions = slices.Insert(sessions, 0, OriginSession{Nonce: origin.Nonce})
		sessions = sessions[:min(len(sessions), 2)]
		at = 0
	}
	session := &sessions[at]
	j, _ := session.find(origin.Seq)
	session.Results = slices.Insert(slices.Clone(session.Results), j, OriginResult{origin.Seq, o})
	if extra := len(session.Results) - originResults; extra > 0 {
		session.Floor = session.Results[extra-1].Seq
		session.Results = session.Results[extra:]
	}
	record.Sessions = sessions
	d.forgetStrangers()
}

// forgetStrangers keeps the outcomes of only the last few origins that are no
// members: nodes that left, whose last words may still be retried.
func (d *draft) forgetStrangers() {
	for {
		strangers, oldest := 0, -1
		for i := range d.s.Origins {
			if d.s.Node(d.s.Origins[i].Node) != nil {
				continue
			}
			strangers++
			if oldest < 0 || d.s.Origins[i].Last < d.s.Origins[oldest].Last {
				oldest = i
			}
		}
		if strangers <= originStrangers {
			return
		}
		d.s.Origins = slices.Delete(d.s.Origins, oldest, oldest+1)
	}
}
