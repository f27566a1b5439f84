package frontend

// hold has messages wait for resume, so that they come behind a reply that is not out
// yet.
func (b *backlog) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = true
}

// resume ends hold.
func (b *backlog) resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	b.queueMessages()
}

// tell sends the client a message that it did not ask for now, whole and behind the
// replies that were pushed before. It waits for nobody: a client that does not take its
// messages is cut off when they are more than it may have. Any goroutine may call it,
// and keeps message.
func (b *backlog) tell(message []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.server.counters.sent.Add(int64(len(message)))
	b.pushed += int64(len(message))
	b.messages = append(b.messages, message...)
	limits, pending := b.server.limits.Load(), b.pending()+len(b.messages)
	if limits.Output.exceeds(pending) || pending > limits.OutputBuffer ||
		pending > fairBacklog && b.server.counters.backlog.Load()+int64(len(b.messages)) > int64(limits.TotalOutput) {
		b.fail(errOutputLimit)
		return
	}
	if !b.held && !b.entering {
		b.queueMessages()
	}
}

// queueMessages leaves the messages that have waited to the writer. The lock is held.
func (b *backlog) queueMessages() {
	if len(b.messages) == 0 || b.err != nil {
		return
	}
	b.append(b.messages)
	b.messages = b.messages[:0]
	if cap(b.messages) > keepBuffer {
		b.messages = nil
	}
}
