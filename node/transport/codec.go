package transport

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// message is what goes over gRPC: raw bytes, given in two parts so that a head
// and a payload need not be copied together. A received message is all in body.
type message struct {
	head, body []byte
}

// rawCodec passes messages through without any encoding.
type rawCodec struct{}

func (rawCodec) Name() string { return "aikv-raw" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("transport: cannot send a %T", v)
	}
	if len(m.head) == 0 {
		return mem.BufferSlice{mem.SliceBuffer(m.body)}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(m.head), mem.SliceBuffer(m.body)}, nil
}

// Unmarshal copies, because gRPC reuses data and the receiver keeps the bytes.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("transport: cannot receive a %T", v)
	}
	m.head, m.body = nil, data.Materialize()
	return nil
}
