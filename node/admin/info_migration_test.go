package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// INFO migration shows what moves to and from this node's shard, and nothing else.
func TestInfoMigration(t *testing.T) {
	n := newTestNode()
	me := n.view.Me()
	own, other := me.Shard.ID, topology.GroupID(999)
	slots := slot.FromRanges([]slot.Range{{Start: 5, End: 8}})
	n.view.Migrations = []*topology.Migration{
		{ID: 1, Slots: slots, From: other, To: own, Source: 2, Dest: me.ID, State: topology.Copying, Retries: 2},
		{ID: 2, Slots: slots, From: own, To: other, Source: me.ID, Dest: 2, State: topology.HandingOver},
		{ID: 3, Slots: slots, From: other, To: 1000, State: topology.Copying},
		{ID: 4, Slots: slots, From: other, To: own, State: topology.Completed},
	}
	n.moves = MigrationStatus{
		Copies: map[topology.MigrationID]MigrationCopy{
			1: {Keys: 7, Bytes: 1234, Rest: 3, Failures: 1, LastFailure: "no\r\nanswer, yet"},
		},
		LastPause: 7 * time.Millisecond,
	}
	var w infoWriter
	infoMigration(&w, &infoSource{node: n, view: n.view, now: time.UnixMilli(40)})
	want := "migrations_active:2\r\nmigration_last_pause_usec:7000\r\n" +
		"migration_0:id=" + topology.MigrationID(1).String() + ",part=target,peer=" + topology.NodeID(2).String() +
		",state=copying,slots=4,keys=7,bytes=1234,rest=3,retries=2,failures=1,age_ms=40,last_failure=no  answer  yet\r\n" +
		"migration_1:id=" + topology.MigrationID(2).String() + ",part=source,peer=" + topology.NodeID(2).String() +
		",state=handover,slots=4,keys=0,bytes=0,rest=0,retries=0,failures=0,age_ms=40,last_failure=\r\n"
	if got := w.String(); got != want {
		t.Errorf("INFO migration is\n%s\nand was to be\n%s", strings.ReplaceAll(got, "\r", ""), strings.ReplaceAll(want, "\r", ""))
	}
}
