package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// votePromise is the file that says for how long, at most, this node has promised its
// votes to leaders that it has heard: an election timeout by the settings of the time. A
// node that is started with a shorter one has forgotten whom it promised, and keeps the
// longer promise for as long as it may run: see multiraft.Options.Promised.
type votePromise struct {
	path string
	now  time.Duration // by the present settings
	// former is what stood there, if that is longer.
	former time.Duration
}

// openPromise reads the file and has it cover the present settings, durably, before
// the node promises anything.
func openPromise(root string, electionTimeout time.Duration) (*votePromise, error) {
	p := &votePromise{path: filepath.Join(root, "PROMISE"), now: electionTimeout}
	text, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || ms < 0 || ms > time.Hour.Milliseconds() {
			ms = time.Minute.Milliseconds() // damaged: longer than anybody sets it
		}
		p.former = time.Duration(ms) * time.Millisecond
	}
	if p.former >= p.now {
		return p, nil // a longer one stands until it is over: see settle
	}
	return p, p.write()
}

// promised is for how long the node must vote for nobody after its start; a nil promise
// says nothing.
func (p *votePromise) promised() time.Duration {
	if p == nil {
		return 0
	}
	return max(p.now, p.former)
}

// settle has the file say what the present settings promise once the former, longer
// promise is over.
func (p *votePromise) settle(ctx context.Context, s sched.Sched) error {
	if p == nil || p.former <= p.now || !sched.Sleep(ctx, s, 2*p.former) {
		return nil
	}
	return p.write()
}

func (p *votePromise) write() error {
	part := p.path + ".new"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatInt(p.now.Milliseconds(), 10) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(part)
		return err
	}
	return errors.Join(os.Rename(part, p.path), syncFolder(filepath.Dir(p.path)))
}
