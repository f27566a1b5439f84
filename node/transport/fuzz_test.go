package transport

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/grpc/mem"
)

func FuzzDecodeHello(f *testing.F) {
	h := hello{protocolMin: 1, protocolMax: 1, raftAddr: "a:1", token: "t"}
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
		own := hello{protocolMin: ProtocolMin, protocolMax: ProtocolMax, nodeID: 1, clusterID: 2, token: "t"}
		if h.checkStream(&own) == nil && (h.token != own.token || h.nodeID == own.nodeID || h.class >= classes) {
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
