package topology

// Endpoint returns the host under which clients are to reach the node, as
// cluster-preferred-endpoint-type says, and what kind of host that is. "" means the
// one that the client has used. Where Redis says "?" of a node without a host name,
// which no client can connect to, it is the address.
func (n *Node) Endpoint(preferred string) (host, kind string) {
	switch {
	case preferred == "hostname" && n.Address.Hostname != "":
		return n.Address.Hostname, preferred
	case preferred == "unknown-endpoint":
		return "", preferred
	default:
		return n.Address.Host, "ip"
	}
}
