package server

import (
	"testing"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
)

// A replica knows every command that a transaction may have on data.
func TestReplicasKnowWhatTransactionsHold(t *testing.T) {
	table := replicaTable()
	for _, row := range command.NewTable(data.Commands(), admin.Commands(nil)).Rows() {
		if row.Read == nil && row.Write == nil || row.Multi != command.MultiQueued {
			continue
		}
		if found := table.ByFullName([]byte(row.FullName())); found == nil || found.Read == nil && found.Write == nil {
			t.Errorf("replicas do not know %s", row.FullName())
		}
	}
}
