package config

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
)

// ClientListen is the address to listen on for clients.
func (c *Config) ClientListen() string {
	return net.JoinHostPort(c.Server.Host, strconv.Itoa(c.Server.Port))
}

// RaftListen is the address to listen on for other nodes.
func (c *Config) RaftListen() string {
	return net.JoinHostPort(c.raftHost(), strconv.Itoa(c.Raft.Port))
}

func (c *Config) raftHost() string {
	if c.Raft.Host != "" {
		return c.Raft.Host
	}
	return c.Server.Host
}

// AnnouncedHost is the IP address at which clients reach this node. Without
// announce_host it is that of host, and if host means all addresses, the first
// of the machine's own (as net.InterfaceAddrs lists them) that is not loopback.
// The second result is false if that is only a guess, because the machine has
// several, or none.
func (c *Config) AnnouncedHost(machine []net.Addr) (ip string, certain bool) {
	if c.Server.AnnounceHost != "" {
		return c.Server.AnnounceHost, true
	}
	return reachable(c.Server.Host, machine)
}

// AnnouncedPort is the client port that others are told.
func (c *Config) AnnouncedPort() int {
	if c.Server.AnnouncePort != 0 {
		return c.Server.AnnouncePort
	}
	return c.Server.Port
}

// AnnouncedRaft is the host:port at which other nodes reach this one; machine
// and certain are as in AnnouncedHost.
func (c *Config) AnnouncedRaft(machine []net.Addr) (addr string, certain bool) {
	if c.Raft.Announce != "" {
		return c.Raft.Announce, true
	}
	host, certain := reachable(c.raftHost(), machine)
	if c.Raft.Host == "" && c.Server.AnnounceHost != "" {
		host, certain = c.Server.AnnounceHost, true
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Raft.Port)), certain
}

// reachable turns a listening host into one that others can dial.
func reachable(host string, machine []net.Addr) (string, bool) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return resolve(host)
	}
	if !ip.IsUnspecified() {
		return ip.String(), true
	}
	var found []string
	for _, a := range machine {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		own := prefix.Addr()
		usable := own.IsGlobalUnicast() && (own.Is4() || ip.Is6())
		if usable {
			found = append(found, own.String())
		}
	}
	if len(found) == 0 {
		if ip.Is6() {
			return "::1", false
		}
		return "127.0.0.1", false
	}
	return found[0], len(found) == 1
}

// resolve looks a listening host's name up, since clients are told addresses.
func resolve(name string) (string, bool) {
	ips, err := net.LookupIP(name)
	if err != nil || len(ips) == 0 {
		return name, false
	}
	for _, ip := range ips { // localhost and the like: what most clients use
		if ip.To4() != nil {
			return ip.String(), true
		}
	}
	return ips[0].String(), true
}

// Warnings says, a line each, what is allowed but probably not meant.
func (c *Config) Warnings() []string {
	var w []string
	if c.Server.RequirePass == "" && !loopback(c.Server.Host) {
		w = append(w, "clients are accepted on "+c.ClientListen()+" without a password: set server.requirepass, or server.host to 127.0.0.1")
	}
	if c.WAL.Fsync != FsyncAlways {
		w = append(w, "wal.fsync is "+c.WAL.Fsync+": a crash of the machine can lose acknowledged writes")
	}
	for _, name := range c.unknownEnv {
		w = append(w, "environment variable "+name+" names no setting and is ignored")
	}
	return w
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// SlogLevel is the level of the log.
func (c *Config) SlogLevel() slog.Level {
	var level slog.Level
	// Validate allows only names that slog knows.
	_ = level.UnmarshalText([]byte(c.Logging.Level))
	return level
}
