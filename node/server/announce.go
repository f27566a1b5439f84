package server

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/topology"
)

// announcement is what a node tells others of itself, as the configuration says
// and CONFIG SET has changed it since.
type announcement struct {
	cfg      config.Config
	busPort  int // 0: busPortOffset above the client port
	nodename string
}

// busPortOffset is what Redis adds to a client port for its cluster bus. Only
// shown: nothing listens there.
const busPortOffset = 10000

func (a announcement) address() topology.Address {
	machine, err := net.InterfaceAddrs()
	if err != nil {
		machine = nil // the announced addresses are then what was configured
	}
	host, _ := a.cfg.AnnouncedHost(machine)
	raft, _ := a.cfg.AnnouncedRaft(machine)
	port, busPort := a.cfg.AnnouncedPort(), a.busPort
	if busPort == 0 {
		busPort = port + busPortOffset
	}
	return topology.Address{
		Host: host, Port: uint16(port), BusPort: uint16(busPort),
		Hostname: a.cfg.Server.AnnounceHostname, Raft: raft, Nodename: a.nodename,
	}
}

// announceHook makes a value of CONFIG SET known to the whole cluster: set changes
// the announcement. Config runs its hooks one at a time.
func (b *backend) announceHook(set func(a *announcement, value string)) func(context.Context, string) error {
	return func(ctx context.Context, value string) error {
		next := b.announced
		set(&next, value)
		if err := b.node.meta.Announce(ctx, next.address()); err != nil {
			return clientError(err)
		}
		b.announced = next
		return nil
	}
}

// announceHooks are those of the parameters that tell others of this node.
func (b *backend) announceHooks() map[string]func(context.Context, string) error {
	number := func(text string) int {
		n, _ := strconv.Atoi(text) // Config has checked it
		return n
	}
	return map[string]func(context.Context, string) error{
		"cluster-announce-ip":             b.announceHook(func(a *announcement, v string) { a.cfg.Server.AnnounceHost = v }),
		"cluster-announce-port":           b.announceHook(func(a *announcement, v string) { a.cfg.Server.AnnouncePort = number(v) }),
		"cluster-announce-bus-port":       b.announceHook(func(a *announcement, v string) { a.busPort = number(v) }),
		"cluster-announce-hostname":       b.announceHook(func(a *announcement, v string) { a.cfg.Server.AnnounceHostname = v }),
		"cluster-announce-human-nodename": b.announceHook(func(a *announcement, v string) { a.nodename = v }),
		"cluster-preferred-endpoint-type": func(ctx context.Context, kind string) error {
			return clientError(b.node.meta.SetEndpointType(ctx, kind))
		},
		"cluster-node-timeout": b.setNodeTimeout,
	}
}

// setNodeTimeout is CONFIG SET cluster-node-timeout.
func (b *backend) setNodeTimeout(_ context.Context, value string) error {
	cfg := b.node.cfg
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return err
	}
	cfg.Cluster.NodeTimeout = config.Duration(min(ms, int64(time.Hour/time.Millisecond))) * config.Duration(time.Millisecond)
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("as of the configuration's %w", err)
	}
	b.node.meta.SetNodeTimeout(time.Duration(cfg.Cluster.NodeTimeout))
	return nil
}
