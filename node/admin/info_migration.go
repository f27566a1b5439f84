package admin

import (
	"fmt"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// MigrationStatus is what a node knows of slots that move to and from it, beside the
// topology.
type MigrationStatus struct {
	// Copies are those that this node makes.
	Copies map[topology.MigrationID]MigrationCopy
	// LastPause is for how long clients waited here at the last hand-over of slots from
	// this node, 0 if there was none.
	LastPause time.Duration
}

// MigrationCopy is how far the copy has come that the node makes as the leader of the target.
type MigrationCopy struct {
	// Keys have come, in pieces of so many Bytes; Rest is about how many records are left.
	Keys, Bytes, Rest int64
	// Failures counts the steps that were tried again, LastFailure says why the last one was.
	Failures    int64
	LastFailure string
}

// infoMigration is AiKv's own section: a line for each migration of slots that is under
// way to or from this node. keys, bytes, rest and what has failed are known where the copy
// is made: at the target's master.
func infoMigration(w *infoWriter, s *infoSource) {
	status := s.node.Migrating()
	var own topology.GroupID
	if me := s.view.Me(); me != nil && me.Shard != nil {
		own = me.Shard.ID
	}
	var lines []string
	for _, m := range s.view.Migrations {
		if !m.Active() || own == 0 || m.From != own && m.To != own {
			continue
		}
		part, peer := "target", m.Source
		if m.From == own {
			part, peer = "source", m.Dest
		}
		copied := status.Copies[m.ID]
		lines = append(lines, fmt.Sprintf("id=%s,part=%s,peer=%s,state=%s,slots=%d,keys=%d,bytes=%d,rest=%d,retries=%d,failures=%d,age_ms=%d,last_failure=%s",
			m.ID, part, peer, m.State, m.Slots.Len(), copied.Keys, copied.Bytes, copied.Rest, m.Retries, copied.Failures,
			max(s.now.UnixMilli()-m.Created, 0), printable(copied.LastFailure)))
	}
	w.line("migrations_active", len(lines))
	w.line("migration_last_pause_usec", status.LastPause.Microseconds())
	for i, line := range lines {
		w.line("migration_"+strconv.Itoa(i), line)
	}
}

// printable returns a text that does not end a line of INFO, nor a field of it.
func printable(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c < ' ' || c == ',' {
			b[i] = ' '
		}
	}
	return string(b)
}
