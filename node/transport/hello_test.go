package transport

import (
	"reflect"
	"testing"
	"time"
)

func TestHelloRoundTrip(t *testing.T) {
	h := hello{
		protocolMin: 1, protocolMax: 300, features: 1 << 60, clusterID: 5, nodeID: 6, target: 7,
		class: Bulk, raftAddr: "[::1]:50051", incarnation: "first", voteDelay: 300 * time.Millisecond,
	}
	b := h.append(nil)
	got, err := decodeHello(b)
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Fatalf("decoded %+v, %v", got, err)
	}
	for n := range b { // every cut is an error, none a panic
		if _, err := decodeHello(b[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
	if _, err := decodeHello(append(b, 1, 2, 3)); err != nil {
		t.Errorf("fields added later are refused: %v", err)
	}
	b[0] = helloFormat + 1
	if _, err := decodeHello(b); err == nil {
		t.Error("an unknown format was read")
	}
}
