package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
)

// A MetaRaft that has lost more than half of its voters for good is given up, and
// another one begins from the state of one node that is left: under a cluster id of
// its own, so that nobody who comes back from the former one can vote, lead or be
// heard in it. The shards' groups, their data and the nodes' ids stay. The other
// nodes that are left go over to it one by one. Each of these is one step of the log
// of a node that does not run.

// RecoverOptions says what Recover does.
type RecoverOptions struct {
	// Follow is the code that the recovered node has printed: this node goes over to
	// its MetaRaft. "": this node is the one from which MetaRaft begins again.
	Follow string
	// Yes does it; otherwise Recover only says what it would do.
	Yes bool
}

// ErrNotDone is returned after Recover has said what it would do.
var ErrNotDone = errors.New("nothing was changed: add --yes to do it")

// recovery is a data folder that is open for that.
type recovery struct {
	home *home
	out  io.Writer

	former identity
	state  *metaraft.State // as far as it is applied
	tail   []multiraft.Committed
	last   multiraft.Point // of the log
}

// Recover gives MetaRaft up, in the data folder of a node that does not run, and
// tells on out about it. After an error nothing has changed, unless the disk failed;
// then, and after a crash, the folder is as before or it is done, and once more shows
// which.
func Recover(cfg config.Config, opts RecoverOptions, log *slog.Logger, out io.Writer) (err error) {
	if path, err := filepath.Abs(cfg.Storage.DataDir); err == nil {
		cfg.Storage.DataDir = path
	}
	root := cfg.Storage.DataDir
	if _, err := os.Stat(filepath.Join(root, "wal")); err != nil {
		return fmt.Errorf("there is no node's data in %s: %w", root, err)
	}
	n := newNode(cfg, log, sched.System)
	if n.data, err = openDataDir(cfg, log, nil); err != nil {
		return err
	}
	defer func() {
		if n.data.unsynced.lost { // the next start has to know
			n.data.release()
			return
		}
		err = errors.Join(err, n.data.close())
	}()
	r := &recovery{home: newHome(n), out: out}
	n.home = r.home
	if len(n.data.log.Identity()) == 0 {
		return fmt.Errorf("there is no node's data in %s", root)
	}
	if err := r.home.load(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.home.opened.store.Close()) }()
	r.former = *r.home.current.Load()
	if opts.Follow != "" {
		return r.follow(opts)
	}
	return r.begin(opts)
}

// look finds out what the node has of MetaRaft, and whether it can be recovered.
func (r *recovery) look() (err error) {
	machine := r.home.opened.machine
	r.state = machine.State()
	if r.tail, r.last, err = multiraft.Tail(r.home.node.data.log, r.former.metaGroup(), machine.Applied()); err != nil {
		return fmt.Errorf("cannot use the data folder: %w", err)
	}
	return r.recoverable(r.state)
}

// recoverable says why MetaRaft cannot be given up in that state of it, nil if it can.
func (r *recovery) recoverable(s *metaraft.State) error {
	switch {
	case s.ClusterID != r.former.Cluster:
		return errors.New("this node has not received MetaRaft's state")
	case s.Dissolved != nil, s.Frozen != nil:
		return errors.New("this node is on its way to another cluster: start it")
	case s.Node(r.former.Node) == nil:
		return fmt.Errorf("node %s is no member of its cluster any more", r.former.Node)
	case s.Lone():
		return errors.New("this node is alone in its cluster and needs no other to vote: start it")
	}
	return nil
}

// begin makes this node the one from which MetaRaft begins again.
func (r *recovery) begin(opts RecoverOptions) error {
	if err := r.look(); err != nil {
		return err
	}
	r.describe()
	if conf := r.last.Conf; len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == r.former.MetaID && len(conf.GetVotersOutgoing()) == 0 {
		if r.former.Recovered == (recovered{}) {
			return errors.New("this node is MetaRaft's only voter and needs no other: start it")
		}
		r.sayNext()
		return nil
	}
	if !opts.Yes {
		r.say("\nThis node would become the only voter of a new MetaRaft, over the topology that it knows.\n%s", risks)
		return ErrNotDone
	}
	if err := r.succeed(); err != nil {
		return err
	}
	r.sayNext()
	return nil
}

// sayNext tells what is to be done after MetaRaft has begun again from this node.
func (r *recovery) sayNext() {
	now := r.home.current.Load()
	r.say("\nMetaRaft begins again from this node. On each other node that is left, while it is stopped:\n"+
		"    aikv recover --data-dir FOLDER --follow %s --yes\n"+
		"Then start all of them, and CLUSTER FORGET what is lost (… FORCE where a shard has lost its majority).\n",
		recoverCode{now.Recovered.Former, now.Cluster, now.Recovered.Known})
}

const risks = `What is lost by that: changes of the topology that this node has not received, even if they were answered with OK.
Take the node whose last entry has the highest term and, of those, the highest index.
Be sure that most of MetaRaft's voters never come back: they would be a second cluster that takes writes.
`

// describe tells where the node stands, for the comparison with others.
func (r *recovery) describe() {
	voters := r.last.Conf.GetVoters()
	r.say("node %s, cluster %016x\nMetaRaft's last entry here: term %d, index %d\n%d voters, of which %d must run for a majority:\n",
		r.former.Node, r.former.Cluster, r.last.Term, r.last.Index, len(voters), len(voters)/2+1)
	for _, m := range r.state.MetaMembers() {
		kind := "learner"
		if slices.Contains(voters, m.MetaID) {
			kind = "voter"
		}
		r.say("    %s %s %s\n", m.Node, m.RaftAddr, kind)
	}
}

func (r *recovery) say(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

// succeed carries it out.
func (r *recovery) succeed() error {
	next := identity{Node: r.former.Node, Cluster: randomID(), MetaID: r.former.MetaID}
	replica, err := r.home.openReplica(next, 0)
	if err != nil {
		return err
	}
	defer func() { _ = replica.store.Close() }()
	if err := copyState(r.home.opened, replica); err != nil {
		return err
	}
	// The state is read anew from what was copied.
	if replica.machine, err = metaraft.NewMachine(replica.store); err != nil {
		return err
	}
	if len(r.tail) > 0 {
		if err := (&metaMachine{replica.machine}).Apply(r.tail); err != nil {
			return err
		}
	}
	if err := r.recoverable(replica.machine.State()); err != nil {
		return err
	}
	replica.identity.Recovered = recovered{Former: r.former.Cluster, Known: replica.machine.State().RaftID}
	at := multiraft.Point{Index: r.last.Index + 1, Term: r.last.Term + 1}
	if err := replica.machine.Succeed(at.Index, next.Cluster); err != nil {
		return err
	}
	if _, err := replica.machine.Sync(); err != nil {
		return err
	}
	if err := syncFolder(r.home.node.data.meta); err != nil {
		return err
	}
	// gofail: var recoverBegin struct{}
	if err := r.replace(replica, &at); err != nil {
		return err
	}
	// gofail: var recoverDone struct{}
	r.home.current.Store(&replica.identity)
	return nil
}

// replace makes the replica the node's, in one step of the log.
func (r *recovery) replace(replica *metaReplica, at *multiraft.Point) error {
	blob, err := replica.identity.encode()
	if err != nil {
		return err
	}
	return multiraft.Succeed(r.home.node.data.log, r.former.metaGroup(), replica.spec(false), at, blob)
}

// copyState copies the records of a machine's state into an empty store.
func copyState(from, to *metaReplica) error {
	_, records, err := from.machine.Export()
	if err != nil {
		return err
	}
	defer records.Release()
	var batch storage.Batch
	for records.Next() {
		batch.Put(records.Key(), records.Value())
	}
	if err := records.Err(); err != nil {
		return err
	}
	return to.store.Write(&batch)
}

// follow makes the node a member of the MetaRaft that has begun again elsewhere. It
// receives the state when it is started.
func (r *recovery) follow(opts RecoverOptions) error {
	code, err := parseRecoverCode(opts.Follow)
	if err != nil {
		return err
	}
	if r.former.Cluster == code.next {
		r.say("node %s has gone over already\n", r.former.Node)
		return nil
	}
	switch {
	case r.former.Cluster != code.former:
		return fmt.Errorf("this node is not of the cluster %016x that was recovered, but of %016x", code.former, r.former.Cluster)
	case r.former.MetaID > code.known:
		return errors.New("the node that was recovered does not know this one: it was admitted later. " +
			"Keep a copy of the folder, then CLUSTER RESET HARD the node and MEET it")
	}
	if err := r.look(); err != nil {
		return err
	}
	r.describe()
	if !opts.Yes {
		r.say("\nThis node would go over to the recovered MetaRaft and give up what it knows of the topology.\n" +
			"What the recovered one does not know is lost; it should have begun from the node whose last entry is the newest.\n")
		return ErrNotDone
	}
	next := identity{Node: r.former.Node, Cluster: code.next, MetaID: r.former.MetaID}
	for _, m := range r.state.MetaMembers() {
		if m.Node != next.Node {
			next.Peers = append(next.Peers, m)
		}
	}
	replica, err := r.home.openReplica(next, 0)
	if err != nil {
		return err
	}
	defer func() { _ = replica.store.Close() }()
	if err := r.replace(replica, nil); err != nil {
		return err
	}
	r.say("\nnode %s has gone over to the recovered MetaRaft: start it\n", next.Node)
	return nil
}

// recovered says how the node's MetaRaft began: the former cluster id, and the last
// Raft id that it knew to be given out there.
type recovered struct{ Former, Known uint64 }

// recoverCode tells other nodes of a MetaRaft that has begun again: the former and
// the new cluster id, and the last Raft id that it knew to be given out.
type recoverCode struct{ former, next, known uint64 }

func (c recoverCode) String() string {
	return fmt.Sprintf("%016x-%016x-%x", c.former, c.next, c.known)
}

func parseRecoverCode(text string) (c recoverCode, err error) {
	if n, err := fmt.Sscanf(strings.TrimSpace(text), "%x-%x-%x", &c.former, &c.next, &c.known); n != 3 || err != nil || c.String() != strings.TrimSpace(text) {
		return c, fmt.Errorf("%q is not what aikv recover printed", text)
	}
	return c, nil
}
