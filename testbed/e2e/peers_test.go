package e2e

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

// A node that other machines can reach starts only with a secret, and says which
// key to set. Nodes that share one meet; one that has another, or none, stays
// outside, and is told why.
func TestSecretOfPeers(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token") // which the first node makes
	f := startFleet(t, 3, "AIKV_RAFT_TOKEN_FILE="+token)
	f.meets(1, 0)
	stranger := f.nodes[2]
	stranger.kill()
	stranger.env = nil
	stranger.mustStart("")
	for _, ends := range [][2]*process{{f.nodes[0], stranger}, {stranger, f.nodes[0]}} {
		err := ends[0].client.Do(t.Context(), "cluster", "meet", "127.0.0.1", ends[1].port).Err()
		if err == nil || !strings.Contains(err.Error(), "raft.token") {
			t.Errorf("node %d meets node %d: %v", ends[0].index, ends[1].index, err)
		}
	}

	port := freePorts(t, 24500, 1, fleetRaftOffset)
	bare := exec.CommandContext(t.Context(), stranger.bin, "--host", "0.0.0.0", "--port", strconv.Itoa(port),
		"--raft-port", strconv.Itoa(port+fleetRaftOffset), "--data-dir", filepath.Join(t.TempDir(), "data"))
	out, err := bare.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "raft.token: is needed") {
		t.Errorf("a node without a secret on all addresses: %v, %s", err, out)
	}
}

// Whoever does not know the secret is cut off by a real node too, before it has
// cost anything.
func TestStrangerIsCutOff(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 1, "AIKV_RAFT_TOKEN=0123456789abcdef")
	conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(f.nodes[0].port+fleetRaftOffset))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit.Wait()))
	sent := 0
	for err == nil && sent < 1<<30 {
		var n int
		n, err = conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), make([]byte, 1<<20)...))
		sent += n
	}
	if err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("%d bytes were taken: %v", sent, err)
	}
	f.nodes[0].must("cluster", "myid")
}
