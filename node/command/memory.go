package command

import "github.com/genuineh/aikv/node/resp"

// Memory meters what one read holds, so that many large ones together do not
// take more than there is. Handlers that build something large say so with Take
// before they do; what replies take is counted by their size besides. A nil
// Memory allows everything. It is for one goroutine.
type Memory struct {
	// More is asked for more bytes, and answers whether they are there. It does
	// not wait.
	More func(n int64) bool

	used, granted int64
	short         bool
}

// Reset begins a read, which may use granted bytes without asking.
func (m *Memory) Reset(granted int64) { m.used, m.granted, m.short = 0, granted, false }

// Take reports whether the read may hold n bytes more. If not, the handler
// returns at once: its reply counts for nothing.
func (m *Memory) Take(n int) bool {
	if m == nil {
		return true
	}
	m.used += int64(n)
	return m.ask()
}

// AtLeast is Take for a total, of which some may have been taken before.
func (m *Memory) AtLeast(total int) bool {
	m.used = max(m.used, int64(total))
	return m.ask()
}

func (m *Memory) ask() bool {
	const step = 256 << 10 // so that few ask often
	if m.short || m.used <= m.granted {
		return !m.short
	}
	missing := m.used - m.granted
	switch {
	case m.More(max(missing, step)):
		m.granted += max(missing, step)
	case m.More(missing):
		m.granted = m.used
	default:
		m.short = true
	}
	return !m.short
}

// Short reports whether the read was denied something, and how much it wanted to
// hold by then.
func (m *Memory) Short() (wanted int64, short bool) { return m.used, m.short }

// elementSize is about what an element of a reply takes, beside its text: the
// value, the text's place, and a head on the wire.
const elementSize = 64 + 16 + 16

// ReplySize returns about how many bytes a reply takes, built and encoded.
func ReplySize(v *resp.Value) int {
	n := elementSize + 2*len(v.Str)
	for i := range v.Elems {
		n += ReplySize(&v.Elems[i])
	}
	return n
}

// takeText is Take for an element with a text of n bytes.
func (r Reading) takeText(n int) bool { return r.Memory.Take(elementSize + 2*n) }
