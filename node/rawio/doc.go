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
// everything that its processor could do meanwhile, and garbage collections. So a
// flush that was slow sends those of the next seconds to the background, where the
// kernel works on them (Linux's aio_fsync, whose end the poller reports). That is not
// done always: while the disk is quick, a flush in the background costs a tenth more
// CPU a write, as it wakes a thread of the kernel, and the process for each of the
// things that would have waited together.
//
// Where the race detector is on, or the system is not Linux, the calls are those
// of package syscall: the detector learns from them that what was sent happened
// before what is received.
package rawio
