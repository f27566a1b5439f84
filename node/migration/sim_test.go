package migration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// simulation is one migration between two shards, each a machine with its log, while a
// client writes. Two nodes believe to lead the target in turns, or both, or none. Whatever
// they ask for may come late, twice, or not, without them knowing.
type simulation struct {
	t              *testing.T
	world          *seeded.World
	proc           *seeded.Process
	rng            *rand.Rand
	source, target *member
	leads          [2]bool
	mig            topology.Migration
	index, epoch   uint64
	model          map[string]string
	keys           []string
	slots          slot.Set
	calm           bool
	stats          *simStats
	movers         [2]*Mover
}

type simStats struct{ completed, failed, canceled, backs, unknown, refused int }

// member is a machine that applies what it is given at once.
type member struct {
	s     *simulation
	m     *shard.Machine
	moved chan struct{}
}

func (m *member) apply(payloads ...[]byte) []resp.Value {
	e := shard.Entry{Commands: payloads, Entry: command.Entry{
		Index: m.m.Applied() + 1, Time: m.s.proc.Now().UnixMilli(), Level: command.Level, MaxString: 1 << 20,
	}}
	for range payloads {
		r := new(resp.Reply)
		r.Init(3)
		e.Replies = append(e.Replies, r)
	}
	if err := m.m.Apply([]shard.Entry{e}); err != nil {
		m.s.t.Fatal(err)
	}
	var answers []resp.Value
	for _, r := range e.Replies {
		v, err := resp.Parse(r.Bytes())
		if err != nil {
			m.s.t.Fatal(err)
		}
		answers = append(answers, v)
	}
	close(m.moved)
	m.moved = make(chan struct{})
	m.s.proc.Wake()
	return answers
}

// Pull and Moved implement Feeder.
func (m *member) Pull(job uint64, at shard.Position, maxBytes int) (shard.Pulled, error) {
	return m.m.Pull(job, at, min(maxBytes, 200))
}
func (m *member) Moved() (sched.Signal, func()) { return m.moved, func() {} }

// errLost is said of what may have been done or not.
var errLost = errors.New("no answer")

// call does something as if it were asked of somebody else.
func (s *simulation) call(ctx context.Context, do func() error) error {
	sched.Sleep(ctx, s.proc, s.upTo(2*time.Millisecond))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.calm:
	case s.chance(30):
		return errLost
	case s.chance(30):
		s.stats.unknown++
		s.world.After(s.upTo(30*time.Millisecond), func() { s.proc.Go("late", func() { _ = do() }) })
		return errLost
	}
	err := do()
	sched.Sleep(ctx, s.proc, s.upTo(2*time.Millisecond))
	if !s.calm && s.chance(30) {
		s.stats.unknown++
		return errLost
	}
	return err
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int63n(int64(d) + 1))
}
func (s *simulation) chance(perMille int) bool { return s.rng.Intn(1000) < perMille }

// leader is a node that may lead the target. It implements Target and Topology.
type leader struct {
	s *simulation
	n int
}

func (l leader) Leads() bool                  { return l.s.leads[l.n] }
func (l leader) Imports() []shard.ImportState { return l.s.target.m.Imports() }
func (l leader) Owns(n uint16, epoch uint64) bool {
	return l.s.target.m.Owns(n) && l.s.target.m.SlotEpoch(n) == epoch
}

func (l leader) Write(ctx context.Context, payload []byte) error {
	return l.s.call(ctx, func() error {
		if v := l.s.target.apply(payload)[0]; v.IsError() {
			l.s.stats.refused++
			return resp.Error(v.Str)
		}
		return nil
	})
}

func (l leader) Current() *topology.View {
	m := l.s.mig
	return &topology.View{Index: l.s.index, ClusterID: 1, Migrations: []*topology.Migration{&m}}
}

func (l leader) HandOver(ctx context.Context, _ uint64, _ topology.MigrationID) (epoch uint64, err error) {
	s := l.s
	err = s.call(ctx, func() error {
		switch {
		case !s.mig.Active():
			return errors.New("ended")
		case s.mig.State == topology.Copying:
			s.epoch++
			s.change(topology.HandingOver, s.epoch)
			sealed := s.epoch
			s.world.After(s.upTo(5*time.Millisecond), func() {
				s.source.apply(shard.AppendSeal(nil, s.slots, sealed))
			})
		}
		epoch = s.mig.Epoch
		return nil
	})
	return epoch, err
}

func (l leader) HandBack(ctx context.Context, _ uint64, _ topology.MigrationID, epoch uint64) error {
	return l.s.call(ctx, func() error {
		l.s.back(epoch)
		return nil
	})
}

func (l leader) CompleteMigration(ctx context.Context, _ uint64, _ topology.MigrationID, epoch uint64, _ int64) error {
	return l.s.call(ctx, func() error {
		if l.s.mig.State != topology.HandingOver || l.s.mig.Epoch != epoch {
			return errors.New("not handing over")
		}
		l.s.change(topology.Completed, epoch)
		return nil
	})
}

func (l leader) FailMigration(ctx context.Context, _ uint64, _ topology.MigrationID, text string) error {
	return l.s.call(ctx, func() error {
		if l.s.mig.Active() {
			l.s.mig.Error = text
			l.s.change(topology.Failed, 0)
		}
		return nil
	})
}

func (s *simulation) change(state topology.MigrationState, epoch uint64) {
	s.mig.State, s.mig.Epoch = state, epoch
	s.index++
	for _, m := range s.movers {
		m.Wake()
	}
	s.proc.Wake()
}

// back undoes a hand-over.
func (s *simulation) back(epoch uint64) {
	if s.mig.State != topology.HandingOver || s.mig.Epoch != epoch {
		return
	}
	s.stats.backs++
	s.mig.Retries++
	s.epoch++
	own := s.epoch
	s.change(topology.Copying, 0)
	s.world.After(s.upTo(5*time.Millisecond), func() { s.source.apply(shard.AppendOwn(nil, s.slots, own)) })
}

func newSimulation(t *testing.T, seed int64, stats *simStats) *simulation {
	w := seeded.New(seed)
	s := &simulation{
		t: t, world: w, proc: w.Start("nodes"), rng: w.Rand, epoch: 1, index: 1, model: make(map[string]string), stats: stats,
	}
	table := command.NewTable(data.Commands())
	for _, m := range []**member{&s.source, &s.target} {
		machine, err := shard.Open(storage.NewMemory(), table, shard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		*m = &member{s: s, m: machine, moved: make(chan struct{})}
		t.Cleanup(machine.Abandon)
	}
	for i := range 3 {
		tag := fmt.Sprintf("{%d}", i)
		s.slots.Add(slot.Of([]byte(tag)))
		for k := range 5 {
			s.keys = append(s.keys, fmt.Sprint(tag, k))
		}
	}
	s.mig = topology.Migration{ID: 77, Slots: s.slots, From: 1, To: 2, State: topology.Copying}
	for n := range s.movers {
		l := leader{s, n}
		s.movers[n] = NewMover(Options{
			Topology: l, Target: func(topology.GroupID) Target { return l }, Pull: s.pull, Pace: unbound{},
			PauseLimit: func() time.Duration { return 8 * time.Millisecond }, Timeout: 50 * time.Millisecond,
			Sched: s.proc, Logger: slog.New(slog.DiscardHandler),
		})
	}
	return s
}

type unbound struct{}

func (unbound) Wait(context.Context, int) error { return nil }

func (s *simulation) pull(ctx context.Context, _ *topology.View, r Request) (p shard.Pulled, err error) {
	err = s.call(ctx, func() error {
		r, err := DecodeRequest(r.Append(nil))
		if err != nil {
			return err
		}
		if !s.calm && s.chance(100) {
			r.Wait = 0 // an impatient network
		}
		answer, err := Serve(ctx, s.proc, s.source, Request{Shard: r.Shard, Job: r.Job, At: r.At, MaxBytes: r.MaxBytes, Wait: min(r.Wait, 20*time.Millisecond)})
		if err == nil {
			p, err = DecodeAnswer(answer)
		}
		return err
	})
	return p, err
}

// write has the client change a key.
func (s *simulation) write() {
	key, value := s.keys[s.rng.Intn(len(s.keys))], fmt.Sprint(s.rng.Int63())
	line := [][]byte{[]byte("set"), []byte(key), []byte(value)}
	if s.chance(300) {
		line, value = [][]byte{[]byte("del"), []byte(key)}, ""
	}
	if v := s.source.apply(command.AppendArgs(nil, line))[0]; !v.IsError() {
		s.model[key] = value
	}
}

// run takes the migration to its end, and looks at what the target has then.
func (s *simulation) run() {
	s.source.apply(shard.AppendOwn(nil, s.slots, 1))
	for range s.rng.Intn(60) {
		s.write()
	}
	ctx, cancel := context.WithCancel(context.Background())
	for n, m := range s.movers {
		s.proc.Go("mover", func() { m.Run(ctx) })
		s.leads[n] = n == 0
	}
	s.world.After(s.upTo(20*time.Millisecond), func() { s.source.apply(shard.AppendWatch(nil, uint64(s.mig.ID), s.slots)) })
	s.proc.Go("client", func() {
		for s.mig.Active() {
			sched.Sleep(ctx, s.proc, s.upTo(3*time.Millisecond))
			s.write()
		}
	})
	s.proc.Go("trouble", s.trouble)
	for limit := s.world.Now().Add(time.Minute); s.mig.Active(); {
		if !s.world.Step(limit) || !s.world.Now().Before(limit) {
			s.t.Fatalf("the migration has not ended: %+v", s.mig)
		}
	}
	s.world.RunFor(time.Second) // what is still on its way
	s.judge()
	cancel()
	s.proc.Wake()
	s.world.RunFor(time.Second)
}

// trouble lets leaders change for a while, and other things happen.
func (s *simulation) trouble() {
	for range s.rng.Intn(30) {
		sched.Sleep(context.Background(), s.proc, s.upTo(20*time.Millisecond))
		switch {
		case s.chance(20) && s.mig.Active():
			s.stats.canceled++
			s.change(topology.Canceled, 0)
		case s.chance(20) && s.mig.Active():
			if v := s.source.apply(command.AppendArgs(nil, [][]byte{[]byte("flushall")}))[0]; !v.IsError() {
				clear(s.model)
			}
		default:
			s.leads = [2]bool{s.chance(500), s.chance(500)}
			for _, m := range s.movers {
				m.Wake()
			}
		}
	}
	s.calm, s.leads = true, [2]bool{true, false}
	for _, m := range s.movers {
		m.Wake()
	}
}

func (s *simulation) judge() {
	if s.mig.State != topology.Completed {
		if s.mig.State == topology.Failed {
			s.stats.failed++
		}
		return
	}
	s.stats.completed++
	if v := s.target.apply(shard.AppendOwn(nil, s.slots, s.mig.Epoch))[0]; v.IsError() {
		s.t.Fatalf("the target cannot take the slots up: %s", v.Str)
	}
	for _, key := range s.keys {
		v := s.target.apply(command.AppendArgs(nil, [][]byte{[]byte("getdel"), []byte(key)}))[0]
		if string(v.Str) != s.model[key] {
			s.t.Errorf("%s is %q at the target, and was %q", key, v.Str, s.model[key])
		}
	}
}

// Whatever happens on the way, the target has in the end what clients were acknowledged,
// or nothing.
func TestSimulation(t *testing.T) {
	seeds := int64(150)
	if testing.Short() {
		seeds = 30
	}
	var stats simStats
	for seed := int64(1); seed <= seeds && !t.Failed(); seed++ {
		s := newSimulation(t, seed, &stats)
		s.run()
		s.world.Close()
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}
	t.Logf("%+v", stats)
	if !testing.Short() && (stats.completed == 0 || stats.failed == 0 || stats.canceled == 0 || stats.backs == 0 || stats.unknown == 0 || stats.refused == 0) {
		t.Errorf("something never happened: %+v", stats)
	}
}
