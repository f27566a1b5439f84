// Package admin holds the Local commands: those that a node answers for itself, of
// connections, clients, the configuration, the cluster and the server.
package admin

import (
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/command"
)

// admin is what the handlers have in common.
type admin struct{ node Node }

// Commands returns the rows of the commands that are answered by node.
func Commands(node Node) []*command.Command {
	a := &admin{node}
	return slices.Concat(
		a.connectionCommands(), multiCommands(), a.serverCommands(), a.clusterCommands(), a.debugCommands(),
		a.saveCommands(), a.memoryCommands(),
		migrateCommands(),
	)
}

// lower returns arg in lower case.
func lower(arg []byte) string { return strings.ToLower(string(arg)) }
