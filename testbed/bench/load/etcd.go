package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// etcdClient speaks the two calls of etcd's API that are needed, without its
// library: PutRequest and RangeRequest are two byte fields, key = 1 and value = 2
// (a Range of one key is linearizable unless it says otherwise).
type etcdClient struct {
	conn  *grpc.ClientConn
	value []byte
}

// dialEtcd connects to -addr.
func dialEtcd(_ context.Context, o *options, _ int) (client, error) {
	conn, err := grpc.NewClient(o.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		return nil, err
	}
	if o.pipeline > 1 && !o.populate {
		return nil, errors.Join(errors.New("etcd has no pipelines"), conn.Close())
	}
	return &etcdClient{conn, o.value}, nil
}

func (c *etcdClient) close() { _ = c.conn.Close() }

func (c *etcdClient) do(ops []operation) error {
	for _, op := range ops {
		request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), op.key)
		method := "/etcdserverpb.KV/Range"
		if op.set {
			request = protowire.AppendBytes(protowire.AppendTag(request, 2, protowire.BytesType), c.value)
			method = "/etcdserverpb.KV/Put"
		}
		var response []byte
		if err := c.conn.Invoke(context.Background(), method, request, &response); err != nil {
			return err
		}
		if !op.set && len(response) < len(c.value) {
			return errors.New("a key is not there: populate first")
		}
	}
	return nil
}

// raw passes encoded messages through.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive a %T", v)
	}
	*b = data.Materialize()
	return nil
}
