package server

import (
	"runtime"
	"testing"
)

func TestLentProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	is := func(want int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%d processors, want %d", got, want)
		}
	}
	var l lender
	runtime.GOMAXPROCS(1)
	first, second := l.lend(), l.lend()
	is(2)
	first()
	first()
	is(2)
	second()
	is(1)
	l.lend()()
	is(1)
	runtime.GOMAXPROCS(3) // enough of its own
	giveBack := l.lend()
	is(3)
	giveBack()
	is(3)
}
