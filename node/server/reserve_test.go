package server

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	free := int64(100 << 20)
	r := newReserve(dir, slog.New(slog.NewTextHandler(&out, nil)))
	r.free = func(string) (int64, error) { return free, nil }
	r.total = func(string) (int64, error) { return 64 << 20, nil }
	path := filepath.Join(dir, "RESERVE")
	held := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	r.prepare()
	if held() != 8<<20 || out.Len() > 0 {
		t.Fatalf("the reserve has %d bytes; %s", held(), out.String())
	}
	r.prepare() // room enough: it stays
	if held() != 8<<20 {
		t.Fatal("it is gone")
	}
	free = 1 << 20
	r.prepare()
	if held() != 0 || !strings.Contains(out.String(), "reserve of 8 MB") {
		t.Fatalf("the disk is full, and it has %d bytes; %s", held(), out.String())
	}
	out.Reset()
	r.prepare()
	if !strings.Contains(out.String(), "make 8 MB free") {
		t.Errorf("nothing is left, and it says %q", out.String())
	}
	free = 15 << 20 // not so much that it would not be missed
	if r.prepare(); held() != 0 {
		t.Error("it took a reserve")
	}
	free = 100 << 20
	if r.prepare(); held() != 8<<20 {
		t.Error("there is room again, and no reserve")
	}
}

func TestReserveTakesItsSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "RESERVE")
	if err := allocateFile(path, 3<<20+5); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 3<<20+5 {
		t.Errorf("%v, %v", info, err)
	}
}
