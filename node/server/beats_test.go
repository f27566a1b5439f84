package server

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

func beatOf(offset uint64, claims ...uint64) []byte {
	beat := binary.AppendUvarint([]byte{beatFormat}, offset)
	for _, n := range claims {
		beat = binary.LittleEndian.AppendUint64(beat, n)
	}
	return beat
}

// TestHearsay: the leader of the highest term counts, for as long as it says so.
func TestHearsay(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	h := newHearsay()
	for _, c := range []struct {
		at     float64
		from   topology.NodeID
		beat   []byte
		leader topology.NodeID // of shard 11, within a second
		led    float64
	}{
		{0, 1, beatOf(5, 11, 7), 1, 0},
		{0.5, 2, beatOf(6), 1, 0},             // leads nothing
		{0.6, 3, beatOf(7, 11, 6), 1, 0},      // an older term
		{0.7, 2, beatOf(8, 11, 8, 12), 2, .7}, // took over; what is cut short is passed over
		{0.8, 1, beatOf(5, 11, 7), 2, .7},     // has not noticed
		{1.8, 3, beatOf(7), 0, .7},            // nobody said so of late
		{2, 2, beatOf(9, 11, 8), 2, 2},
		{2.1, 2, beatOf(9), 0, 2}, // not any more
	} {
		h.note(c.from, c.beat, at(c.at))
		leader := h.leader(11, at(c.at-1))
		if _, led := h.led(11); leader != c.leader || !led.Equal(at(c.led)) {
			t.Errorf("at %v s: leader %d, led at %v; want %d, %v", c.at, leader, led, c.leader, at(c.led))
		}
	}
	if h.offset(2) != 9 || h.offset(9) != 0 {
		t.Errorf("offsets %d, %d", h.offset(2), h.offset(9))
	}
	h.prune(&topology.View{Nodes: []*topology.Node{{ID: 1}}})
	if len(h.leaders) != 0 || len(h.offsets) != 1 {
		t.Errorf("not in the view: %v, %v", h.leaders, h.offsets)
	}
}

// TestHearsayOfAnything: no beat, however malformed, ends the node or fills it.
func TestHearsayOfAnything(t *testing.T) {
	h := newHearsay()
	many := beatOf(1)
	for n := range uint64(10000) {
		many = append(many, beatOf(0, n, 1)[2:]...)
	}
	for _, beat := range [][]byte{{0}, {0, 0x80}, {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0, 1, 2, 3}, many} {
		if !isBeat(beat) {
			t.Errorf("%v is no beat", beat)
		}
		h.note(1, beat, time.Now())
	}
	if isBeat(nil) || isBeat([]byte{1}) || len(h.leaders) > maxClaims {
		t.Errorf("%d claims of one beat", len(h.leaders))
	}
}

// TestCompany: a beat goes once to every other member, however many frames it could
// go along with, and not to those that an older one was for.
func TestCompany(t *testing.T) {
	view := func(ids ...topology.NodeID) *topology.View {
		v := &topology.View{Self: 1}
		for _, id := range ids {
			v.Nodes = append(v.Nodes, &topology.Node{ID: id})
		}
		return v
	}
	var c company
	if c.take(2) != nil {
		t.Error("there was a beat before the first")
	}
	c.wait([]byte{0, 1}, view(1, 2, 3))
	c.wait([]byte{0, 2}, view(1, 2, 4))
	for _, step := range []struct {
		node uint64
		want []byte
	}{{1, nil}, {3, nil}, {2, []byte{0, 2}}, {2, nil}, {4, []byte{0, 2}}, {4, nil}} {
		if got := c.take(step.node); !bytes.Equal(got, step.want) {
			t.Errorf("with a frame to node %d went %v, not %v", step.node, got, step.want)
		}
	}
}
