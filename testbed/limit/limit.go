// Package limit says how long tests wait for what must happen. All of them ask
// here, so that there is one place to give a slow machine more time.
package limit

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"
)

// patience is far beyond what a loaded machine needs: only a test that fails
// takes so long.
const patience = 100 * time.Second

// Wait is how long a test waits for one thing that must happen before it fails.
// The environment's TEST_PATIENCE, a number, multiplies it.
func Wait() time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv("TEST_PATIENCE"), 64)
	if err != nil || factor <= 0 {
		return patience
	}
	return time.Duration(factor * float64(patience))
}

// Context returns one that ends after Wait, or with the test.
func Context(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), Wait())
}
