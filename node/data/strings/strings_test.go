package strings_test

import (
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
)

func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}
