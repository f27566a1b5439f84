package frontend

import (
	"bytes"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

var (
	errNestedMulti     error = resp.Error("ERR MULTI calls can not be nested")
	errWatchInMulti    error = resp.Error("ERR WATCH inside MULTI is not allowed")
	errExecNoMulti     error = resp.Error("ERR EXEC without MULTI")
	errDiscardNoMulti  error = resp.Error("ERR DISCARD without MULTI")
	errNotInMulti      error = resp.Error("ERR Command not allowed inside a transaction")
	errExecAbort       error = resp.Error("EXECABORT Transaction discarded because of previous errors.")
	errExecReplyTooBig error = resp.Error("ERR the transaction was executed, but its reply takes more memory than server.read_memory allows")
)

// transaction is what MULTI has begun. EXEC hands its commands on data to the shard
// as one payload, which is one write, or one read if none of them writes: so they run
// in one piece. The commands that the node answers for itself run behind them, and their
// replies stand at their places.
type transaction struct {
	queued []*command.Command
	// payload has what was watched and the commands on data, in
	// command.AppendTransaction's form; locals has the others, in the same.
	payload, locals []byte
	data            int // commands in payload
	// demand is where all of payload must run, together.
	demand
	// replicates is set if one of the commands is held back while writes are paused.
	replicates bool
	aborted    bool // a command was refused
	watching   *watchSet
	switches   []resp.Switch // of the protocol, by HELLO
	starts     []int         // where the replies to the commands on data begin
	meter      *replyMeter
}

// queuedSize is about what a queued command takes beside its bytes.
const queuedSize = 32

// size returns how much memory the transaction takes.
func (t *transaction) size() int { return len(t.payload) + len(t.locals) + queuedSize*len(t.queued) }

// begin makes an empty transaction of t.
func (t *transaction) begin(watching *watchSet) {
	*t = transaction{
		queued: t.queued[:0], payload: t.payload[:0], locals: t.locals[:0], starts: t.starts[:0], watching: watching,
		meter: t.meter,
	}
	var watched []command.Watched
	if watching != nil {
		watched = watching.keys
	}
	t.payload = command.AppendTransaction(t.payload, watched)
}

// add queues a command; d is where it must run if it is on data.
func (t *transaction) add(cmd *command.Command, args [][]byte, d demand) {
	t.queued = append(t.queued, cmd)
	t.replicates = t.replicates || cmd.Flags&(command.FlagWrite|command.FlagMayReplicate) != 0
	if cmd.Local == nil {
		t.payload = command.AppendArgs(t.payload, args)
		t.data++
		t.demand.join(d)
		return
	}
	if len(t.locals) == 0 {
		t.locals = command.AppendTransaction(t.locals, nil)
	}
	t.locals = command.AppendArgs(t.locals, args)
	if cmd.SwitchesTo != nil {
		var words command.Args
		words.Set(cmd, args)
		if proto := cmd.SwitchesTo(&words); proto != 0 {
			t.switches = append(t.switches, resp.Switch{At: t.data, Proto: proto})
		}
	}
}

// watchSet is what a connection watches. It never changes, so others may look at it.
type watchSet struct {
	keys    []command.Watched
	replica Replica // whose state was looked at
	several bool    // keys were looked at elsewhere before: EXEC cannot tell what became of them
	bytes   int
}

// transact runs a command that belongs to transactions.
func (c *conn) transact(cmd *command.Command, args [][]byte) {
	switch cmd.Multi {
	case command.MultiBegin:
		c.show(cmd, args)
		c.beginMulti(cmd)
	case command.MultiExec:
		c.exec(cmd, args)
	case command.MultiDiscard:
		c.show(cmd, args)
		if c.multi == nil {
			c.fail(cmd, errDiscardNoMulti)
			return
		}
		c.discard()
		c.succeed(cmd).OK()
	case command.MultiWatch:
		if c.multi != nil {
			c.fail(cmd, errWatchInMulti)
			return
		}
		c.data(cmd, args)
		c.run.watches = true
	}
}

func (c *conn) beginMulti(cmd *command.Command) {
	if c.multi != nil {
		c.fail(cmd, errNestedMulti)
		return
	}
	if c.run.watches {
		c.finish() // what it watches is known then
	}
	c.multi = c.run.transaction()
	c.multi.begin(c.watching.Load())
	c.session.Queued.Store(1)
	c.succeed(cmd).OK()
}

// queue keeps a command for EXEC, or refuses it, and with it the transaction.
func (c *conn) queue(cmd *command.Command, args [][]byte) {
	t := c.multi
	d := demandOf(cmd, args)
	if cmd.Local == nil || d.keyed {
		if _, err := c.route(d); err != nil {
			t.aborted = true
			c.reject(cmd, err)
			return
		}
	}
	if !t.aborted { // else it will not run anyway
		t.add(cmd, args, d)
		c.inspectQueued(d)
		c.session.Queued.Store(int64(1 + len(t.queued)))
		c.session.QueuedBytes.Store(int64(t.size()))
		if t.size() > c.server.limits.Load().QueryBuffer {
			c.closing, c.failure = true, errQueryBuffer
			return
		}
	}
	c.answered().Simple("QUEUED")
}

// abort has EXEC fail, because a command was refused.
func (c *conn) abort() {
	if c.multi != nil {
		c.multi.aborted = true
	}
}

// discard drops the transaction, if there is one, and what was watched.
func (c *conn) discard() {
	if t := c.endMulti(); t != nil {
		c.run.recycle(t)
	}
}

// endMulti ends what MULTI has begun, and the watching.
func (c *conn) endMulti() *transaction {
	t := c.multi
	c.multi = nil
	c.session.Queued.Store(0)
	c.session.QueuedBytes.Store(0)
	c.unwatch()
	return t
}

// exec has the transaction run, unless something speaks against it. The order of the
// checks is Redis's.
func (c *conn) exec(cmd *command.Command, args [][]byte) {
	t := c.endMulti()
	if t == nil {
		c.show(cmd, args)
		c.fail(cmd, errExecNoMulti)
		return
	}
	to, clean, err := c.routeExec(t)
	switch {
	case err != nil:
		c.reject(cmd, err)
	case t.aborted:
		c.show(cmd, args)
		c.fail(cmd, errExecAbort)
	case !clean:
		c.show(cmd, args)
		c.succeed(cmd).NullArray()
	case t.data == 0 && t.watching == nil:
		c.finish()
		c.called(cmd, 1, 0, c.lap())
		c.answerMixed(t, nil, 0)
		c.show(cmd, args)
	default:
		c.join(cmd, t, to, args)
		return
	}
	c.run.recycle(t)
}

// join has the run execute a transaction.
func (c *conn) join(cmd *command.Command, t *transaction, to route, args [][]byte) {
	kind := runReads
	if to.writes && to.replica != nil {
		kind = runWrites
	}
	alone := len(t.locals) > 0 // they run as soon as its reply is there
	if alone || !c.run.accepts(kind, to) {
		c.finish()
	}
	o := c.run.join(kind, to, cmd, args)
	o.transaction, o.size = t, c.in.frame
	if alone {
		c.finish()
		c.show(cmd, args) // behind what it ran
	}
}

// routeExec decides where a transaction runs. clean is false if that is not where its
// keys were watched: nobody there knows whether they have changed.
func (c *conn) routeExec(t *transaction) (to route, clean bool, err error) {
	w := t.watching
	if t.data > 0 {
		to, err = c.route(t.demand)
		return to, w == nil || !w.several && w.replica == to.replica, err
	}
	if w == nil {
		return route{}, true, nil
	}
	to, err = c.route(demand{slot: slot.Of(w.keys[0].Key), keyed: true})
	return to, err == nil && !w.several && w.replica == to.replica, nil
}

// expect has r know where the replies to the commands on data begin, and in which
// protocol.
func (t *transaction) expect(r *resp.Reply) {
	r.LendNested(t.starts)
	r.SwitchAt(t.switches)
}

// ran reports whether a reply to EXEC is that of commands that have run.
func ran(encoded []byte) bool { return len(encoded) > 1 && encoded[0] == '*' && encoded[1] != '-' }

// answerWrite answers a write that was not refused.
func (c *conn) answerWrite(o *op) {
	t := o.transaction
	if t == nil {
		c.answer(&o.reply)
		return
	}
	switch held := t.meter.end(); {
	case o.reply.Full():
		c.server.reads.give(held)
		o.reply.Fail(errExecReplyTooBig)
		c.answer(&o.reply)
	case len(t.locals) > 0 && ran(o.reply.Bytes()):
		c.answerMixed(t, o.reply.Bytes(), 0)
		c.out.charge(held)
	default:
		c.answer(&o.reply)
		if held > 0 {
			c.out.charge(held)
		}
	}
}

// answerMixed answers EXEC where commands have run on data, and others wait for their
// turn: encoded is the reply to the former, which stands from the place begin on as far as
// t.starts is concerned.
func (c *conn) answerMixed(t *transaction, encoded []byte, begin int) {
	c.own.Init(c.session.Proto())
	c.own.Begin()
	c.own.Array(len(t.queued))
	c.own.Nest()
	locals := command.Transaction{}
	if len(t.locals) > 0 {
		locals, _ = command.DecodeTransaction(t.locals)
	}
	c.execing = true
	c.session.Queued.Store(int64(1 + len(t.queued))) // as CLIENT LIST tells itself
	defer func() {
		c.execing = false
		c.session.Queued.Store(0)
	}()
	next := 0 // of the commands on data
	for _, cmd := range t.queued {
		if cmd.Local == nil {
			end := len(encoded)
			if next+1 < len(t.starts) {
				end = t.starts[next+1] - begin
			}
			c.own.Encoded(encoded[t.starts[next]-begin : end])
			next++
			continue
		}
		args, _, _ := locals.Command(nil)
		c.own.Begin()
		if c.evaluateLocal(cmd, args); c.lost {
			return
		}
	}
	c.own.Unnest()
	c.answerOwn()
}

// execEmpty evaluates a transaction where there is no data.
func (c *conn) execEmpty(t *transaction) {
	out := &c.out.reply
	out.Begin()
	out.Array(t.data)
	out.Nest()
	defer out.Unnest()
	commands, _ := command.DecodeTransaction(t.payload)
	for {
		args, more, _ := commands.Command(nil)
		if !more {
			return
		}
		cmd, err := c.server.opts.Table.Lookup(args)
		if err != nil {
			out.Begin()
			out.Fail(err)
			continue
		}
		c.args.Set(cmd, args)
		c.view.RunEmpty(&c.args, out)
	}
}

// countInner counts the commands that EXEC has run, which took so long together.
func (c *conn) countInner(o *op, took time.Duration) {
	t := o.transaction
	if t == nil || o.call.Err != nil {
		return
	}
	encoded := c.out.reply.Bytes()
	if c.run.kind == runWrites {
		if t.starts = o.reply.Nested(); o.reply.Full() {
			return
		}
		encoded = o.reply.Bytes()
	}
	next := 0
	for _, cmd := range t.queued {
		if cmd.Local != nil || next == len(t.starts) {
			continue
		}
		reply, failed := encoded[t.starts[next]:], 0
		if resp.IsErrorReply(reply) {
			failed = 1
			c.server.countError(reply[:1+bytes.IndexByte(reply, '\n')])
		}
		c.server.calls.of(cmd).Add(1, failed, took)
		next++
	}
}

// watch adds to what the connection watches, after a look at a replica's state.
func (c *conn) watch(seen []command.Watched, replica Replica) {
	old := c.watching.Load()
	if old == nil {
		old = &watchSet{replica: replica}
	}
	w := &watchSet{
		keys: old.keys[:len(old.keys):len(old.keys)], replica: replica,
		several: old.several || old.replica != replica, bytes: old.bytes,
	}
	for _, s := range seen {
		s.Key = bytes.Clone(s.Key)
		w.keys = append(w.keys, s)
		w.bytes += queuedSize + len(s.Key)
	}
	c.setWatching(w)
	if w.bytes > c.server.limits.Load().QueryBuffer {
		c.closing, c.failure = true, errQueryBuffer
	}
}

// unwatch forgets what the connection watches.
func (c *conn) unwatch() { c.setWatching(nil) }

func (c *conn) setWatching(w *watchSet) {
	old := c.watching.Swap(w)
	clients, keys := &c.server.counters.watching, &c.server.counters.watched
	if old != nil {
		clients.Add(-1)
		keys.Add(-int64(len(old.keys)))
	}
	if w != nil {
		clients.Add(1)
		keys.Add(int64(len(w.keys)))
	}
}

// changed reports whether the keys that the connection watches have changed, as far as
// its replica has applied the log. Any goroutine may call it.
func (w *watchSet) changed() bool {
	if w == nil {
		return false
	}
	if w.several {
		return true
	}
	var reply resp.Reply
	var view command.View
	defer view.End()
	w.replica.Exec(command.AppendTransaction(nil, w.keys), &view, &reply)
	return !bytes.HasPrefix(reply.Bytes(), []byte("*0"))
}

// transactionInfo is the connection's command.Session.Transaction.
func (c *conn) transactionInfo() command.TransactionInfo {
	w := c.watching.Load()
	info := command.TransactionInfo{
		Queued: int(c.session.Queued.Load()) - 1, Bytes: c.session.QueuedBytes.Load(), Changed: w.changed(),
	}
	if w != nil {
		info.Watching = len(w.keys)
	}
	return info
}

// fail answers a command that has failed on this connection, succeed one that has not;
// neither waits for what is before it.
func (c *conn) fail(cmd *command.Command, err error) {
	c.called(cmd, 1, 1, c.lap())
	c.refuse(err)
}

func (c *conn) succeed(cmd *command.Command) *resp.Reply {
	c.called(cmd, 1, 0, c.lap())
	return c.answered()
}

// answered returns the reply to a command whose answer is known, in its place.
func (c *conn) answered() *resp.Reply {
	if len(c.run.ops) >= maxRun {
		c.finish()
	}
	r := &c.run.add().reply
	r.Init(c.session.Proto())
	r.Begin()
	return r
}

// replyMeter meters the reply to a transaction that writes: it grows while the entry is
// applied, where nobody can wait for memory.
type replyMeter struct {
	memory command.Memory
	room   func(size int) int // memory.Reply
	reads  *readMemory

	mu    sync.Mutex
	held  int64
	ended bool // nobody waits any more
}

func newReplyMeter() *replyMeter {
	m := new(replyMeter)
	m.memory.More = m.more
	m.room = m.memory.Reply
	return m
}

// begin makes the meter one of a reply.
func (m *replyMeter) begin(reads *readMemory, r *resp.Reply) {
	m.reads, m.ended = reads, false
	m.memory.Reset(freeRead)
	r.Meter(m.room)
}

func (m *replyMeter) more(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || !m.reads.tryTake(n) {
		return false
	}
	m.held += n
	return true
}

// end returns what the reply holds, which is the caller's to give back.
func (m *replyMeter) end() (held int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	held, m.held = m.held, 0
	return held
}

// keptTransactions is how many transactions a run keeps for the next ones.
const keptTransactions = 16

// transaction returns an empty transaction.
func (r *run) transaction() *transaction {
	if n := len(r.spare); n > 0 {
		t := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return t
	}
	return &transaction{meter: newReplyMeter()}
}

// recycle keeps the memory of a transaction that is over.
func (r *run) recycle(t *transaction) {
	const kept = keepPayload / keptTransactions
	if len(r.spare) < keptTransactions && cap(t.payload) <= kept && cap(t.locals) <= kept && cap(t.queued) <= keepRun {
		r.spare = append(r.spare, t)
	}
}
