package hashes_test

import (
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
)

// TestFamilies plays testdata, whose replies are what redis-server 7.0 and, for the
// expiry of fields, 8.6 answer.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench {
		b := commandtest.New(t, data.Commands())
		b.Now = 1_000_000_000_000
		return b
	})
}
