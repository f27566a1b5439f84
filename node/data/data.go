// Package data joins the commands on data, which live in a package for each family.
//
// Write handlers run on every replica and must do the same on each; so the families
// know no clock, no randomness of their own, no goroutine, and depend on the order of
// no map. A test forbids the imports.
package data

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/geo"
	"github.com/genuineh/aikv/node/data/hashes"
	"github.com/genuineh/aikv/node/data/hyperloglog"
	"github.com/genuineh/aikv/node/data/keys"
	"github.com/genuineh/aikv/node/data/lists"
	"github.com/genuineh/aikv/node/data/sets"
	"github.com/genuineh/aikv/node/data/sortedsets"
	"github.com/genuineh/aikv/node/data/sorting"
	"github.com/genuineh/aikv/node/data/streams"
	"github.com/genuineh/aikv/node/data/strings"
)

// Commands returns the rows of all families.
func Commands() []*command.Command {
	return slices.Concat(
		geo.Commands(), hashes.Commands(), hyperloglog.Commands(), keys.Commands(), lists.Commands(), sets.Commands(),
		sortedsets.Commands(), sorting.Commands(), streams.Commands(), strings.Commands(),
	)
}
