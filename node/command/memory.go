package command

// Memory meters what one read holds, so that many large ones together do not
// take more than there is. Handlers that build something large say so with Take
// before they do; what replies take is counted by their size besides. A nil
// Memory allows everything. It is for one goroutine.
type Memory struct {
	// More is asked for more bytes, and answers whether they are there. It does
	// not wait.
	More func(n int64) bool

	taken, reply, granted int64
	short                 bool
}

// Reset begins a read, which may use granted bytes without asking.
func (m *Memory) Reset(granted int64) { *m = Memory{More: m.More, granted: granted} }

// Take reports whether the read may hold n bytes more, beside its reply. If not, the
// handler returns at once: its reply counts for nothing.
func (m *Memory) Take(n int) bool {
	if m == nil {
		return true
	}
	m.taken += int64(n)
	return m.ask()
}

// ReplyCopies is how often a reply is held: where it is written, and where it waits
// for the client to take it.
const ReplyCopies = 2

// Reply returns up to which size a reply may grow that has size bytes now: see
// resp.Reply.Meter.
func (m *Memory) Reply(size int) (room int) {
	m.reply = ReplyCopies * int64(size)
	if !m.ask() {
		return 0
	}
	return int((m.granted - m.taken) / ReplyCopies)
}

func (m *Memory) ask() bool {
	const step = 256 << 10 // so that few ask often
	if m.short || m.Used() <= m.granted {
		return !m.short
	}
	missing := m.Used() - m.granted
	switch {
	case m.More(max(missing, step)):
		m.granted += max(missing, step)
	case m.More(missing):
		m.granted += missing
	default:
		m.short = true
	}
	return !m.short
}

// Used returns how much the read holds, or wanted to hold when it was denied some.
func (m *Memory) Used() int64 { return m.taken + m.reply }

// Short reports whether the read was denied something.
func (m *Memory) Short() bool { return m.short }
