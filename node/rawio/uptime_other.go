//go:build !linux

package rawio

import "time"

// bootTime is not known here.
func bootTime() (d time.Duration, ok bool) { return 0, false }
