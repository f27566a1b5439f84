package transport

import (
	"context"
	"runtime"
	"testing"
)

// BenchmarkFrames measures one way: frames of 512 bytes, as fast as the queue
// takes them.
func BenchmarkFrames(b *testing.B) {
	from, to := start(b, 7, 1), start(b, 7, 2)
	connect(b, from, to)
	frame := make([]byte, 512)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range b.N {
			<-to.frames
		}
	}()
	for range b.N {
		for !from.Send(2, Bulk, frame) {
			runtime.Gosched()
		}
	}
	<-done
}

// BenchmarkPingPong measures a frame there and one back.
func BenchmarkPingPong(b *testing.B) {
	one, two := start(b, 7, 1), start(b, 7, 2)
	connect(b, one, two)
	connect(b, two, one)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case r := <-two.frames:
				two.Send(1, Control, r.frame)
			case <-stop:
				return
			}
		}
	}()
	frame := make([]byte, 100)
	b.ResetTimer()
	for range b.N {
		one.Send(2, Control, frame)
		<-one.frames
	}
}

func BenchmarkCall(b *testing.B) {
	from, to := start(b, 7, 1), start(b, 7, 2)
	to.serve = func(_ context.Context, _ Identity, _ uint8, request []byte) ([]byte, error) { return request, nil }
	request := make([]byte, 100)
	b.ReportAllocs()
	for range b.N {
		if _, err := from.Call(context.Background(), to.addr(), 1, request); err != nil {
			b.Fatal(err)
		}
	}
}
