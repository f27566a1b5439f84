package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/genuineh/aikv/node/config"
)

// Of nodes that start together, one makes the secret, and all use that.
func TestNodesMakeOneToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	var made [8][]string
	var nodes sync.WaitGroup
	for i := range made {
		nodes.Go(func() {
			list, err := tokens(config.Raft{TokenFile: path}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
			}
			made[i] = list
		})
	}
	nodes.Wait()
	for _, list := range made {
		if len(list) != 1 || len(list[0]) != 64 || list[0] != made[0][0] {
			t.Fatalf("%q, another node has %q", list, made[0])
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".token-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTokenFile(t *testing.T) {
	one, two := strings.Repeat("1", 16), strings.Repeat("2", 40)
	for text, want := range map[string]string{
		one + "\n":                  one,
		one:                         one,
		two + "\r\n" + one + "\n":   two + " " + one,
		"":                          "",
		"short\n":                   "",
		one + "\nshort":             "",
		one + " " + one + " " + two: "",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := tokens(config.Raft{TokenFile: path}, slog.New(slog.DiscardHandler))
		if strings.Join(got, " ") != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := tokens(config.Raft{TokenFile: filepath.Join(t.TempDir(), "no", "token")}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder that does not exist was made up")
	}
	got, err := tokens(config.Raft{Token: one, TokenOld: two, TokenFile: "/does/not/exist"}, slog.New(slog.DiscardHandler))
	if err != nil || got[0] != one || got[1] != two {
		t.Errorf("%q, %v", got, err)
	}
}
