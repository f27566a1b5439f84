package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/testbed/limit"
)

func recoverIt(cfg config.Config, follow string, yes bool) (string, error) {
	var out bytes.Buffer
	err := Recover(cfg, RecoverOptions{Follow: follow, Yes: yes}, slog.New(slog.DiscardHandler), &out)
	return out.String(), err
}

// wantRefusal wants an error with that text.
func wantRefusal(t *testing.T, cfg config.Config, follow, text string) {
	t.Helper()
	if out, err := recoverIt(cfg, follow, true); err == nil || errors.Is(err, ErrNotDone) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with %q\n%s", err, text, out)
	}
}

// Recover refuses what it was not made for, and changes nothing by that.
func TestRecoverRefuses(t *testing.T) {
	cfg := testConfig(t)
	wantRefusal(t, cfg, "", "there is no node's data in")
	if _, err := os.Stat(cfg.Storage.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it made the folder: %v", err)
	}
	stop := run(t, cfg)
	wantRefusal(t, cfg, "", "in use by another process")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, cfg, "", "alone in its cluster")
	for _, code := range []string{"no", "1-2", "1-2-3", "0000000000000001-0000000000000002"} {
		wantRefusal(t, cfg, code, "is not what aikv recover printed")
	}
	wantRefusal(t, cfg, "0000000000000001-0000000000000002-3", "not of the cluster")
	stop = run(t, cfg)
	expect(t, cfg, "OK", "CLUSTER", "ADDSLOTS", "1")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// The only voter of a cluster of two is gone. The other node begins MetaRaft again,
// once, and forgets it.
func TestRecoverWithoutTheOnlyVoter(t *testing.T) {
	lost, cfg := testConfig(t), testConfig(t)
	stopLost, stop := run(t, lost), run(t, cfg)
	expect(t, cfg, "OK", "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(lost.Server.Port))
	voter, other := lost, cfg
	stopVoter, stopOther := stopLost, stop
	if members, err := do(cfg, "CLUSTER", "METARAFT", "STATUS"); err != nil {
		t.Fatal(err)
	} else if strings.Contains(string(members.Str), "role:leader") {
		voter, other, stopVoter, stopOther = cfg, lost, stop, stopLost
	}
	id, err := do(voter, "CLUSTER", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []func() error{stopVoter, stopOther} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, voter, "", "only voter")

	if out, err := recoverIt(other, "", false); !errors.Is(err, ErrNotDone) || !strings.Contains(out, string(id.Str)) {
		t.Errorf("without yes: %v\n%s", err, out)
	}
	first, err := recoverIt(other, "", true)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`--follow (\S+)`).FindStringSubmatch(first)
	again, err := recoverIt(other, "", true)
	if code == nil || err != nil || !strings.Contains(again, code[1]) {
		t.Errorf("once more: %v\n%s\n%s", err, first, again)
	}
	wantRefusal(t, voter, code[1][:34]+"0", "does not know this one")

	stopOther = run(t, other)
	for deadline := time.Now().Add(limit.Wait()); ; time.Sleep(5 * time.Millisecond) {
		reply, err := do(other, "CLUSTER", "FORGET", string(id.Str))
		if err == nil && !reply.IsError() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("FORGET: %q, %v", reply.Str, err)
		}
	}
	expect(t, other, "OK", "CLUSTER", "ADDSLOTS", "1")
	if err := stopOther(); err != nil {
		t.Fatal(err)
	}
}
