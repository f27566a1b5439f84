package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The range of protocols this binary speaks: what frames and calls mean on the
// wire. Two nodes use the highest that both know.
const (
	ProtocolMin uint16 = 1
	ProtocolMax uint16 = 1
)

// Features are optional abilities of this binary, one bit each, announced in
// every hello. None is defined yet.
const Features uint64 = 0

// helloFormat is the format byte of an encoded hello. A later format must keep
// the format byte first; fields may be added at the end without a new format.
const helloFormat = 2

// These stand in the hello of a call or a fetch, where a stream has its class.
const (
	classCall  Class = 0xff
	classFetch Class = 0xfe
)

// hello introduces the sender of a stream or call, and in the other direction
// the node that accepted a stream.
type hello struct {
	protocolMin, protocolMax uint16
	features                 uint64
	clusterID, nodeID        uint64
	target                   uint64 // the node meant; 0 in a call, whose address decides
	class                    Class
	raftAddr                 string
	incarnation              string
	voteDelay                time.Duration
}

var errHelloFormat = errors.New("malformed hello")

func (h *hello) append(dst []byte) []byte {
	dst = append(dst, helloFormat, byte(h.class))
	dst = binary.LittleEndian.AppendUint16(dst, h.protocolMin)
	dst = binary.LittleEndian.AppendUint16(dst, h.protocolMax)
	dst = binary.LittleEndian.AppendUint64(dst, h.features)
	dst = binary.LittleEndian.AppendUint64(dst, h.clusterID)
	dst = binary.LittleEndian.AppendUint64(dst, h.nodeID)
	dst = binary.LittleEndian.AppendUint64(dst, h.target)
	dst = appendText(dst, h.raftAddr)
	dst = appendText(dst, h.incarnation)
	return binary.AppendUvarint(dst, uint64(h.voteDelay.Milliseconds()))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// helloFixed is the encoded size of what precedes the texts.
const helloFixed = 2 + 2 + 2 + 4*8

func decodeHello(b []byte) (hello, error) {
	if len(b) == 0 {
		return hello{}, errHelloFormat
	}
	if b[0] != helloFormat {
		return hello{}, fmt.Errorf("hello format %d is not known here (only %d)", b[0], helloFormat)
	}
	if len(b) < helloFixed {
		return hello{}, errHelloFormat
	}
	h := hello{
		class:       Class(b[1]),
		protocolMin: binary.LittleEndian.Uint16(b[2:]),
		protocolMax: binary.LittleEndian.Uint16(b[4:]),
		features:    binary.LittleEndian.Uint64(b[6:]),
		clusterID:   binary.LittleEndian.Uint64(b[14:]),
		nodeID:      binary.LittleEndian.Uint64(b[22:]),
		target:      binary.LittleEndian.Uint64(b[30:]),
	}
	b = b[helloFixed:]
	var ok bool
	if h.raftAddr, b, ok = cutText(b); !ok {
		return hello{}, errHelloFormat
	}
	if h.incarnation, b, ok = cutText(b); !ok {
		return hello{}, errHelloFormat
	}
	ms, size := binary.Uvarint(b)
	if size <= 0 || ms >= 1<<32 {
		return hello{}, errHelloFormat
	}
	h.voteDelay = time.Duration(ms) * time.Millisecond
	return h, nil
}

func cutText(b []byte) (string, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}

// identity is what the sender says about itself.
func (h *hello) identity() Identity {
	return Identity{ClusterID: h.clusterID, NodeID: h.nodeID, RaftAddr: h.raftAddr, Incarnation: h.incarnation}
}

// checkAccess says why a hello is not even let in for a call, or nil.
func (h *hello) checkAccess(own *hello) error {
	if h.protocolMin > own.protocolMax || h.protocolMax < own.protocolMin {
		return fmt.Errorf("it speaks protocols %d to %d, this node %d to %d: upgrade the older one",
			h.protocolMin, h.protocolMax, own.protocolMin, own.protocolMax)
	}
	return nil
}

// checkStream says why a stream is refused, or nil.
func (h *hello) checkStream(own *hello) error {
	if err := h.checkPeer(own); err != nil {
		return err
	}
	if h.class >= classes {
		return fmt.Errorf("class %d is not known here", h.class)
	}
	return nil
}

// checkPeer says why a hello is not one of a peer, or nil.
func (h *hello) checkPeer(own *hello) error {
	if err := h.checkAccess(own); err != nil {
		return err
	}
	switch {
	case h.nodeID == own.nodeID:
		return fmt.Errorf("it claims this node's own id %016x", own.nodeID)
	case h.clusterID != own.clusterID:
		return fmt.Errorf("it belongs to cluster %016x, this node to %016x", h.clusterID, own.clusterID)
	case h.target != own.nodeID:
		return fmt.Errorf("it looks for node %016x, this is node %016x", h.target, own.nodeID)
	}
	return nil
}
