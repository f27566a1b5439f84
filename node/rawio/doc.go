// Package rawio makes system calls that return at once without telling Go's
// scheduler.
//
// Package syscall tells the scheduler of every call, for any may block. That has
// a price in a process that mostly waits: while all of it is idle the runtime's
// monitor thread sleeps, the first system call wakes it, and it then polls every
// 20 µs for a millisecond. A node that makes a few calls each time something
// arrives pays for that more than for the calls.
//
// So only what cannot block, or hardly, belongs here: sockets in non-blocking
// mode, and files while their disk is quick. A call that blocks holds up
// everything that its processor could do meanwhile, and garbage collections.
//
// Where the race detector is on, or the system is not Linux, the calls are those
// of package syscall: the detector learns from them that what was sent happened
// before what is received.
package rawio
