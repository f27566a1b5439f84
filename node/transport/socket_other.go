//go:build !linux

package transport

import (
	"net"
	"time"
)

// limitUnacknowledged is left to keepalive.
func limitUnacknowledged(net.Conn, time.Duration) {}
