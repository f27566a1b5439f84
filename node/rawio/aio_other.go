//go:build !linux || race

package rawio

import "errors"

// flusher does not exist here.
type flusher struct{}

var errNotBegun = errors.ErrUnsupported

func newFlusher(uintptr) (*flusher, error) { return nil, errors.ErrUnsupported }

func (*flusher) flush() error { return errNotBegun }

func (*flusher) close() {}
