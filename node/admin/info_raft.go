package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// infoRaft is AiKv's own section: a line for this node's replica of MetaRaft
// and one for each shard replica or arbiter. lag and settled are the leader's
// to know; elsewhere they are 0. copy is 1 for an arbiter that has a copy of the data.
func infoRaft(w *infoWriter, s *infoSource) {
	meta := s.node.MetaStatus(s.ctx)
	voters := 0
	for _, m := range meta.Members {
		if m.Voter {
			voters++
		}
	}
	w.line("metaraft", fmt.Sprintf("role=%s,term=%d,commit=%d,applied=%d,leader=%s,voters=%d,learners=%d,settled=%s",
		meta.Role, meta.Term, meta.Commit, meta.Applied, meta.Leader, voters, len(meta.Members)-voters, digit(meta.Settled)))
	groups := s.node.ShardStatuses()
	slices.SortFunc(groups, func(a, b ShardStatus) int { return cmp.Compare(a.Group, b.Group) })
	for i, g := range groups {
		w.line("group_"+strconv.Itoa(i), fmt.Sprintf(
			"id=%s,kind=%s,role=%s,term=%d,commit=%d,applied=%d,leader=%s,voters=%d,learners=%d,lag=%d,settled=%s,log_start=%d,copy=%s,clock_off_ms=%d",
			g.Group, g.Kind, g.Role, g.Term, g.Commit, g.Applied, g.Leader, g.Voters, g.Learners, g.Lag, digit(g.Settled), g.LogStart, digit(g.Copy), g.ClockOff.Milliseconds()))
	}
}

// digit writes a truth value as INFO does.
func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
