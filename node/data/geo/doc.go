// Package geo holds the commands on places: GEOADD, GEOSEARCH and their kin. Places are
// the members of a sorted set. The score says where one is: 26 bits of its longitude and
// 26 of its latitude, interleaved, so that what is near is mostly near in the set, too. A
// search reads the ranges of scores of the cells that its area may reach into.
//
// Scores, distances, what a search finds and in which order are those of Redis 7.2. They
// are the same on every processor: products are rounded before anything is added to them,
// and angles have functions of their own.
package geo

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(placeCommands(), searchCommands(), radiusCommands())
}
