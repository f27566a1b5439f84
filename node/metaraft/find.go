package metaraft

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// find returns the Raft address of the node that a MEET means: a member that
// announces host:port (then member is set), else a seed that does, else whoever
// answers there as a client port. (In a container 127.0.0.1:6380 may be a port of the host, so
// what is announced goes before what can be dialled.)
func (n *Node) find(ctx context.Context, host string, port int) (addr string, member bool, err error) {
	for _, node := range n.Current().Nodes {
		if announces(node.Address, host, port) {
			return node.Address.Raft, true, nil
		}
	}
	if announces(n.Address(), host, port) {
		return n.opts.Address.Raft, true, nil
	}
	addr, tried := n.findSeed(ctx, host, port)
	if addr != "" {
		return addr, false, nil
	}
	hostport := net.JoinHostPort(host, strconv.Itoa(port))
	dial, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	info, err := n.opts.ClientPort.Identify(dial, hostport)
	if err == nil && info.Address.Raft == "" {
		err = errors.New("the answer names no Raft address")
	}
	if err != nil {
		return "", false, Error(fmt.Sprintf("ERR Can't find node %s: no member announces it; %s; as a client port: %s",
			hostport, tried, oneLine(err)))
	}
	return info.Address.Raft, false, nil
}

// findSeed asks all seeds at once and returns the first that announces
// host:port; otherwise a text that says what each of them answered.
func (n *Node) findSeed(ctx context.Context, host string, port int) (addr, tried string) {
	seeds := n.shuffled(n.opts.Seeds, n.opts.Address.Raft)
	if len(seeds) == 0 {
		return "", "no seeds are configured"
	}
	ctx, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	var mu sync.Mutex // for addr and texts
	var texts []string
	asking := sched.NewGroup(n.sched)
	for _, seed := range seeds {
		asking.Go("ask a seed", func() {
			info, err := ask[PeerInfo](ctx, n.opts.Peers, seed, MethodIdentify, identifyRequest{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				texts = append(texts, fmt.Sprintf("%s: %s", seed, oneLine(err)))
			case announces(info.Address, host, port):
				addr = seed
				cancel()
			default:
				announced := net.JoinHostPort(info.Address.Host, strconv.Itoa(int(info.Address.Port)))
				texts = append(texts, fmt.Sprintf("%s announces %s", seed, announced))
			}
		})
	}
	asking.Wait()
	if addr != "" {
		return addr, ""
	}
	slices.Sort(texts)
	return "", fmt.Sprintf("no seed announces it (%s)", strings.Join(texts, ", "))
}

// announces reports whether a node with that address announces host:port.
func announces(a topology.Address, host string, port int) bool {
	if int(a.Port) != port {
		return false
	}
	if a.Host == host || a.Hostname != "" && strings.EqualFold(a.Hostname, host) {
		return true
	}
	ip, announced := net.ParseIP(host), net.ParseIP(a.Host)
	return ip != nil && ip.Equal(announced)
}

// oneLine makes an error fit for an error reply.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// identify asks the node at addr who it is; with wait it answers only once it
// is not moving any more, within the call timeout.
func (n *Node) identify(ctx context.Context, addr string, wait bool) (PeerInfo, error) {
	// The callee bounds its wait by half of this, so its answer is not lost.
	ctx, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	return ask[PeerInfo](ctx, n.opts.Peers, addr, MethodIdentify, identifyRequest{Wait: wait})
}

func (n *Node) serveIdentify(ctx context.Context, request identifyRequest) PeerInfo {
	if request.Wait {
		ctx, cancel := n.within(ctx, n.opts.CallTimeout/2)
		defer cancel()
		_ = n.awaitStay(ctx)
	}
	return n.Info()
}

// announcesRaft reports whether a linearizable read shows a member with that
// Raft address.
func (n *Node) announcesRaft(ctx context.Context, addr string) bool {
	v := n.View(ctx)
	return v.Quorum && slices.Contains(members(v), addr)
}
