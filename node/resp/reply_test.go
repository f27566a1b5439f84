package resp

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestReplyWrites: each method writes what encoding the same Value gives, in both
// protocols, and pairs are flat in RESP2.
func TestReplyWrites(t *testing.T) {
	cases := []struct {
		write func(r *Reply)
		value Value
	}{
		{func(r *Reply) { r.OK() }, OK},
		{func(r *Reply) { r.Simple("a\r\nb") }, Simple("a\r\nb")},
		{func(r *Reply) { r.Int(-5) }, Int(-5)},
		{func(r *Reply) { r.Bulk([]byte("a\r\nb")) }, BulkString("a\r\nb")},
		{func(r *Reply) { r.BulkString("") }, BulkString("")},
		{func(r *Reply) { r.BulkInt(math.MinInt64) }, BulkString("-9223372036854775808")},
		{func(r *Reply) { r.Verbatim("some\ntext") }, Verbatim("some\ntext")},
		{func(r *Reply) { r.Null() }, Null},
		{func(r *Reply) { r.NullArray() }, NullArray},
		{func(r *Reply) { r.Bool(true); r.Bool(false) }, Value{}},
		{func(r *Reply) { r.Double(1.5) }, Double(1.5)},
		{func(r *Reply) { r.Double(math.Inf(-1)) }, Double(math.Inf(-1))},
		{func(r *Reply) { r.BigNumber("123") }, Value{Kind: KindBigNumber, Str: []byte("123")}},
		{func(r *Reply) { r.Error(Error("WRONGTYPE x\n")) }, Value{Kind: KindError, Str: []byte("WRONGTYPE x")}},
		{func(r *Reply) { r.Error(fmt.Errorf("y: %w", errors.New("z"))) }, Err("y: z")},
		{func(r *Reply) { r.Error(fmt.Errorf("outside: %w", Error("MOVED 1"))) }, Value{Kind: KindError, Str: []byte("MOVED 1")}},
		{func(r *Reply) { r.Array(2); r.Int(1); r.Set(1); r.Int(2) }, Array(Int(1), Set(Int(2)))},
		{func(r *Reply) { r.Map(1); r.Int(1); r.Array(0) }, Map(Int(1), Array())},
		{func(r *Reply) { r.Push(1); r.Int(1) }, Value{Kind: KindPush, Elems: []Value{Int(1)}}},
		{func(r *Reply) { r.Value(Map(Int(1), Set(Int(2)))) }, Map(Int(1), Set(Int(2)))},
	}
	for i, c := range cases {
		for proto := 2; proto <= 3; proto++ {
			var r Reply
			r.Init(proto)
			r.Begin()
			c.write(&r)
			want := string(Append(nil, c.value, proto))
			if c.value.Kind == KindNull && c.value.Elems == nil && i == 9 {
				want = string(Append(Append(nil, Bool(true), proto), Bool(false), proto))
			}
			if got := string(r.Bytes()); got != want {
				t.Errorf("%d, RESP%d: %q, want %q", i, proto, got, want)
			}
		}
	}
}

func TestReplyPairs(t *testing.T) {
	for proto, want := range map[int]string{
		2: "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", 3: "*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n",
	} {
		for _, later := range []bool{false, true} {
			var r Reply
			r.Init(proto)
			at := r.Here()
			if !later {
				r.Pairs(2)
			}
			for n := int64(1); n < 5; n += 2 {
				r.Pair()
				r.Int(n)
				r.Int(n + 1)
			}
			if later {
				r.PairsAt(at, 2)
			}
			if got := string(r.Bytes()); got != want {
				t.Errorf("RESP%d: %q, want %q", proto, got, want)
			}
		}
	}
}

// TestReplyHeadsLater: heads may be put in when the elements are there, within each
// other and where nothing follows.
func TestReplyHeadsLater(t *testing.T) {
	var r Reply
	r.Init(3)
	r.Int(0)
	outer := r.Here()
	for range 2 {
		inner := r.Here()
		for range 12 {
			r.Int(7)
		}
		r.SetAt(inner, 12)
	}
	empty := r.Here()
	r.MapAt(empty, 0)
	r.ArrayAt(outer, 3)
	set := "~12\r\n" + strings.Repeat(":7\r\n", 12)
	if got, want := string(r.Bytes()), ":0\r\n*3\r\n"+set+set+"%0\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestReplyOfErrors: a handler's error takes the place of what it wrote, and of
// nothing before.
func TestReplyOfErrors(t *testing.T) {
	var r Reply
	r.Init(2)
	r.Begin()
	r.OK()
	r.Begin()
	r.Array(3)
	r.Int(1)
	r.Fail(Error("ERR no"))
	if got := string(r.Bytes()); got != "+OK\r\n-ERR no\r\n" || !r.Failed() {
		t.Errorf("%q, failed: %v", got, r.Failed())
	}
	if got := string(ErrorText(r.Bytes()[5:])); got != "ERR no" {
		t.Errorf("the error's text is %q", got)
	}
}

// TestReplyThatNobodyWaitsFor: a nil Reply takes everything.
func TestReplyThatNobodyWaitsFor(t *testing.T) {
	var r *Reply
	if n := testing.AllocsPerRun(10, func() {
		r.Begin()
		at := r.Here()
		r.Map(1)
		r.Pairs(1)
		r.Pair()
		r.Bulk(nil)
		r.Double(1)
		r.Verbatim("x")
		r.Set(0)
		r.Push(0)
		r.Null()
		r.Value(OK)
		r.ArrayAt(at, 5)
		r.Restart()
		r.Fail(Error("ERR x"))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !r.Full() || r.Failed() || r.Len() != 0 {
		t.Error("a nil Reply holds something")
	}
}

// TestReplyIsMetered: a reply that would outgrow its room is dropped whole, an
// earlier one stays, and so does an error that is said instead.
func TestReplyIsMetered(t *testing.T) {
	room := 100
	var r Reply
	r.Init(2)
	r.Meter(func(int) int { return room })
	r.Begin()
	r.OK()
	r.Begin()
	for range 5 {
		r.Int(1)
	}
	if r.Full() {
		t.Fatal("it is full too early")
	}
	r.Bulk(make([]byte, 200))
	r.OK()
	if !r.Full() || string(r.Bytes()) != "+OK\r\n" {
		t.Errorf("full: %v, %q", r.Full(), r.Bytes())
	}
	r.Fail(Error("ERR big"))
	r.Begin()
	room = 1000
	r.Bulk(make([]byte, 200))
	if r.Full() || r.Size() < 200 {
		t.Errorf("the next is full: %v, %d bytes", r.Full(), r.Size())
	}
}
