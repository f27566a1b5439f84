package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// samples are named values, each of a kind and shape of its own.
func samples() map[string]Value {
	return map[string]Value{
		"ok": OK, "null": Null, "nullarray": NullArray, "int": Int(-5), "bulk": BulkString("a\r\n\x00\"\\b"),
		"empty": BulkString(""), "error": Err("bad %s", "luck"), "error-lines": {Kind: KindError, Str: []byte("ERR a\r\nb")},
		"verbatim": Verbatim("line\r\n"), "true": Bool(true), "false": Bool(false), "big": {Kind: KindBigNumber, Str: []byte("123")},
		"double": Double(1.5), "inf": Double(math.Inf(-1)), "nan": Double(math.NaN()), "third": Double(1.0 / 3),
		"array": Array(Int(1), BulkString("x"), Null, Array(BulkString("in"), Err("e"))), "emptyarray": Array(),
		"map": Map(BulkString("k"), Int(1), BulkString("l"), Array(Int(2), Int(3))), "emptymap": Map(),
		"set": Set(Simple("a"), Bool(true)), "emptyset": Set(), "push": {Kind: KindPush, Elems: []Value{BulkString("p")}},
		"long": Array(Int(1), Int(2), Int(3), Int(4), Int(5), Int(6), Int(7), Int(8), Int(9), Array(Int(10), Int(11))),
	}
}

func TestEncode(t *testing.T) {
	datadriven.RunTest(t, "testdata/encode.txt", func(t *testing.T, d *datadriven.TestData) string {
		v, ok := samples()[d.CmdArgs[0].Key]
		if !ok {
			t.Fatalf("no sample %q", d.CmdArgs[0].Key)
		}
		switch d.Cmd {
		case "encode":
			return fmt.Sprintf("2: %q\n3: %q\n", Append(nil, v, 2), Append(nil, v, 3))
		case "cli":
			return fmt.Sprintf("%q\n%s", FormatCLI(v, false), FormatCLI(v, true))
		default:
			t.Fatalf("unknown directive %s", d.Cmd)
			return ""
		}
	})
}

// TestRoundTrip: what Append writes for RESP3, a Reader reads back.
func TestRoundTrip(t *testing.T) {
	for name, v := range samples() {
		for _, proto := range []int{2, 3} {
			sent := Append(nil, v, proto)
			r := NewReader(iotest(sent))
			got, err := r.ReadValue()
			if err != nil {
				t.Errorf("%s, RESP%d: %v", name, proto, err)
				continue
			}
			if again := Append(nil, got, proto); !bytes.Equal(again, sent) {
				t.Errorf("%s, RESP%d: %q came back as %q", name, proto, sent, again)
			}
			if _, err := r.ReadValue(); err != io.EOF {
				t.Errorf("%s, RESP%d: after the end: %v", name, proto, err)
			}
		}
	}
}

// iotest delivers b a byte at a time.
func iotest(b []byte) io.Reader { return &oneByte{b} }

type oneByte struct{ b []byte }

func (r *oneByte) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0], r.b = r.b[0], r.b[1:]
	return 1, nil
}

func TestReaderRefuses(t *testing.T) {
	deep := strings.Repeat("*1\r\n", MaxDepth+2) + ":1\r\n"
	cases := []struct {
		in   string
		want error
	}{
		{"", io.EOF},
		{"+OK", io.ErrUnexpectedEOF},
		{"+OK\n", ErrProtocol},
		{"\r\n", ErrProtocol},
		{"?x\r\n", ErrProtocol},
		{":1x\r\n", ErrProtocol},
		{"#x\r\n", ErrProtocol},
		{"$3\r\nab", io.ErrUnexpectedEOF},
		{"$2\r\nabcd", ErrProtocol},
		{"$-2\r\n", ErrProtocol},
		{"$9223372036854775808\r\n", ErrProtocol},
		{"$536870913\r\n", ErrProtocol},
		{"$536870912\r\n", io.ErrUnexpectedEOF},
		{"*1000000000\r\n", ErrProtocol},
		{"*60000000\r\n:1\r\n", io.ErrUnexpectedEOF},
		{"*2\r\n:1\r\n", io.ErrUnexpectedEOF},
		{"=3\r\nabc\r\n", ErrProtocol},
		{deep, ErrProtocol},
		{"+" + strings.Repeat("x", 1<<20), ErrProtocol},
	}
	for _, c := range cases {
		_, err := NewReader(strings.NewReader(c.in)).ReadValue()
		if !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v, want %v", c.in, err, c.want)
		}
	}
}

func TestReaderSkipsAttributes(t *testing.T) {
	v, err := NewReader(strings.NewReader("|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n")).ReadValue()
	if err != nil || v.Kind != KindBulk || string(v.Str) != "x" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestAppendCommand(t *testing.T) {
	const want = "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"
	if got := AppendCommand(nil, "ECHO", ""); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReplyOfAnError(t *testing.T) {
	for text, err := range map[string]error{
		"-TRYAGAIN later\r\n": fmt.Errorf("while moving: %w", Error("TRYAGAIN later")),
		"-ERR no  luck\r\n":   errors.New("no\r\nluck\n"),
	} {
		var r Reply
		r.Begin()
		if r.Fail(err); string(r.Bytes()) != text {
			t.Errorf("%v: %q, want %q", err, r.Bytes(), text)
		}
	}
}
