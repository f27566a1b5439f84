package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recovers runs aikv recover over the folder of a node that does not run.
func (p *process) recovers(failpoints string, flags ...string) (string, error) {
	cmd := exec.Command(p.bin, append([]string{"recover", "--data-dir", p.data()}, flags...)...)
	cmd.Env = slices.Concat(os.Environ(), p.env, []string{"GOFAIL_FAILPOINTS=" + failpoints})
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var recoverCode = regexp.MustCompile(`--follow ([0-9a-f-]+) --yes`)

// Three of MetaRaft's five voters are gone for good. MetaRaft begins again from a
// node that is left, also when it dies at a step of that, and the others go over
// to it: all of them agree, the lost ones can be forgotten, every key is there, and
// a new node can be met. A lost node that comes back is of no account.
func TestMetaRaftIsRecovered(t *testing.T) {
	t.Parallel()
	for _, crash := range []string{"", "recoverBegin", "recoverDone"} {
		t.Run("crash at "+crash, func(t *testing.T) {
			t.Parallel()
			const keys = 600
			f := startFleet(t, 7, "AIKV_CLUSTER_ARBITER_GRACE=1h")
			all := f.nodes
			f.among(all[:6]...)
			f.formShards()
			ctx := t.Context()
			client := f.clusterClient()
			defer client.Close()
			for i := range keys {
				eventually(t, func() error { return client.Set(ctx, fmt.Sprint("key", i), i, 0).Err() })
			}
			f.settle()
			lost, left := f.loseVoters()
			ids := make([]string, len(lost))
			for i, p := range lost {
				ids[i] = p.must("cluster", "myid")
			}
			for _, p := range slices.Concat(lost, left) {
				p.kill()
			}
			for _, p := range lost[1:] {
				if err := os.RemoveAll(p.dir); err != nil {
					t.Fatal(err)
				}
			}

			code := recoverOn(t, left[0], crash)
			for _, p := range left[1:] {
				if out, err := p.recovers("", "--follow", code); err == nil || !strings.Contains(out, "nothing was changed") {
					t.Errorf("recover --follow without --yes: %v\n%s", err, out)
				}
				for range 2 { // once more does no harm
					if out, err := p.recovers("", "--follow", code, "--yes"); err != nil {
						t.Fatalf("recover --follow: %v\n%s", err, out)
					}
				}
			}
			f.among(left...)
			for _, p := range left {
				p.mustStart("")
			}
			for _, p := range left {
				p.seesFailed(ids...)
			}
			left[1].must("cluster", "bumpepoch")
			for _, id := range ids {
				if err := left[0].client.Do(ctx, "cluster", "forget", id).Err(); err != nil {
					left[0].must("cluster", "forget", id, "force")
				}
			}
			f.united()
			holdsAll(t, f, keys)

			spare := all[6]
			f.among(append([]*process{spare}, left...)...)
			f.meets(0, 1)
			spare.must("cluster", "replicate", left[0].must("cluster", "myid"))
			f.united()

			lost[0].mustStart("")
			f.united()
			for _, p := range left { // they find each other without any flag
				p.kill()
				p.mustStart("")
			}
			f.united()
			holdsAll(t, f, keys)
		})
	}
}

// loseVoters picks one of each master and its replica, all of them voters of
// MetaRaft, and returns them and the others.
func (f *fleet) loseVoters() (lost, left []*process) {
	f.t.Helper()
	members := f.nodes[0].must("cluster", "metaraft", "members")
	votes := func(p *process) bool {
		id := p.must("cluster", "myid")
		return slices.ContainsFunc(strings.Split(members, "\n"), func(line string) bool {
			return strings.HasPrefix(line, id) && strings.Contains(line, "voter")
		})
	}
	for i := range 3 {
		a, b := f.nodes[i], f.nodes[i+3]
		if !votes(b) {
			a, b = b, a
		}
		if !votes(b) {
			f.t.Fatalf("neither of nodes %d and %d votes:\n%s", a.index, b.index, members)
		}
		lost, left = append(lost, b), append(left, a)
	}
	return lost, left
}

// recoverOn recovers MetaRaft on a node, which dies once at a failpoint, and returns
// the code for the others.
func recoverOn(t *testing.T, p *process, crash string) string {
	t.Helper()
	out, err := p.recovers("")
	if err == nil || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "5 voters, of which 3") {
		t.Errorf("recover without --yes: %v\n%s", err, out)
	}
	if crash != "" {
		if out, err := p.recovers(crash+"=panic", "--yes"); err == nil {
			t.Fatalf("it did not come by %s:\n%s", crash, out)
		}
	}
	if out, err = p.recovers("", "--yes"); err != nil {
		t.Fatalf("recover: %v\n%s", err, out)
	}
	match := recoverCode.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("recover printed no code:\n%s", out)
	}
	return match[1]
}

// holdsAll wants every key of the test, wherever it is served.
func holdsAll(t *testing.T, f *fleet, keys int) {
	t.Helper()
	client := f.clusterClient()
	defer client.Close()
	for i := range keys {
		eventually(t, func() error {
			v, err := client.Get(context.Background(), fmt.Sprint("key", i)).Int()
			if err == nil && v != i {
				err = errors.New("wrong value")
			}
			if err != nil {
				err = fmt.Errorf("key%d: %d, %w", i, v, err)
			}
			return err
		})
	}
}
