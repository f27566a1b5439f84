package metaraft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What cannot be decoded was written by something newer, or is damaged.
var (
	ErrFormat      = errors.New("metaraft: unknown format")
	ErrUnknownKind = errors.New("metaraft: unknown kind of change")
)

// formatJSON is the first byte of everything this package writes: JSON follows.
const formatJSON = 1

// Encode returns v (an Outcome, or the body of an RPC) as a format byte and JSON.
func Encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("metaraft: encode: %w", err)
	}
	return append([]byte{formatJSON}, data...), nil
}

// Decode reads what Encode wrote. Fields that v does not have are an error.
func Decode(data []byte, v any) error {
	if len(data) == 0 || data[0] != formatJSON {
		return ErrFormat
	}
	dec := json.NewDecoder(bytes.NewReader(data[1:]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("metaraft: decode: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows it", ErrFormat)
	}
	return nil
}

// wireProposal is the encoded form of a Proposal.
type wireProposal struct {
	Origin Origin
	Time   int64
	Kind   Kind
	Body   json.RawMessage
}

// EncodeProposal returns the payload to propose.
func EncodeProposal(p Proposal) ([]byte, error) {
	body, err := json.Marshal(p.Change)
	if err != nil {
		return nil, fmt.Errorf("metaraft: encode %s: %w", p.Change.Kind(), err)
	}
	return Encode(wireProposal{p.Origin, p.Time, p.Change.Kind(), body})
}

// DecodeProposal reads what EncodeProposal wrote; ErrFormat or ErrUnknownKind
// if something newer wrote it.
func DecodeProposal(data []byte) (Proposal, error) {
	var wire wireProposal
	if err := Decode(data, &wire); err != nil {
		return Proposal{}, err
	}
	makeChange, ok := changes[wire.Kind]
	if !ok {
		return Proposal{}, fmt.Errorf("%w: %q", ErrUnknownKind, wire.Kind)
	}
	p := Proposal{Origin: wire.Origin, Time: wire.Time, Change: makeChange()}
	dec := json.NewDecoder(bytes.NewReader(wire.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p.Change); err != nil {
		return Proposal{}, fmt.Errorf("metaraft: decode %s: %w", wire.Kind, err)
	}
	return p, nil
}

// DecodeOutcome reads a result of Machine.Apply.
func DecodeOutcome(data []byte) (Outcome, error) {
	var o Outcome
	err := Decode(data, &o)
	return o, err
}
