package transport

import (
	"bytes"
	"io"
	"net"
	"reflect"
	"sync"
	"testing"

	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

func FuzzDecodeHello(f *testing.F) {
	h := hello{protocolMin: 1, protocolMax: 1, raftAddr: "a:1"}
	f.Add(h.append(nil))
	f.Add([]byte{helloFormat, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b)
		if err != nil {
			return
		}
		again, err := decodeHello(h.append(nil))
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
		// Whatever it says, there is an answer to it.
		own := hello{protocolMin: ProtocolMin, protocolMax: ProtocolMax, nodeID: 1, clusterID: 2}
		if h.checkStream(&own) == nil && (h.nodeID == own.nodeID || h.class >= classes) {
			t.Fatalf("%+v was let in", h)
		}
	})
}

// FuzzCodec: a message arrives whole however its buffers were cut, and does not
// share memory that gRPC reuses.
func FuzzCodec(f *testing.F) {
	f.Add([]byte("head"), []byte("body"), uint16(3))
	f.Add([]byte{}, []byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, head, body []byte, cut uint16) {
		var codec rawCodec
		sent, err := codec.Marshal(&message{head: head, body: body})
		if err != nil {
			t.Fatal(err)
		}
		wire := sent.Materialize()
		at := int(cut) % (len(wire) + 1)
		var got message
		if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire[:at]), mem.SliceBuffer(wire[at:])}, &got); err != nil {
			t.Fatal(err)
		}
		clear(wire)
		if len(got.head) > 0 || !bytes.Equal(got.body, append(bytes.Clone(head), body...)) {
			t.Fatalf("%q and %q became %q", head, body, got.body)
		}
	})
}

// FuzzStranger: whatever a connection begins with, it is not let in without the
// secret, and it gets an end.
func FuzzStranger(f *testing.F) {
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte(handshakeMagic))
	f.Add(append([]byte(handshakeMagic), make([]byte, 1000)...))
	h := &handshake{TransportCredentials: insecure.NewCredentials(), secrets: newSecrets([]string{"secret"})}
	f.Fuzz(func(t *testing.T, b []byte) {
		stranger, node := net.Pipe()
		var both sync.WaitGroup
		both.Go(func() { _, _ = stranger.Write(b); _ = stranger.Close() })
		both.Go(func() { _, _ = io.Copy(io.Discard, stranger) })
		if err := h.examine(node, nil); err == nil {
			t.Errorf("%q was let in", b)
		}
		_ = node.Close()
		both.Wait()
	})
}
