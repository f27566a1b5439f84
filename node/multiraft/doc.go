// Package multiraft hosts many Raft groups in one process.
//
// # Purpose
//
// A Host owns every raft.RawNode of the process, one shared log and one frame
// a peer a turn. A write travels in one direction: Group.Submit → the raft loop
// packs the waiting calls of a group into one entry → the persister writes the
// entries of all groups with one fdatasync while the loop's frames carry them
// to the peers → the group's applier hands committed entries to the state
// machine and ends the calls.
//
// # Invariants
//
//  1. An entry is acknowledged to a leader, and a vote is given, only after it
//     is on stable storage (raft's AsyncStorageWrites: a message's responses
//     are delivered after Log.Write returned). persist_test.go
//  2. A failed write, sync or apply ends the host through Options.Fatal; an
//     fsync is never retried. persist_test.go, call_test.go
//  3. Every Call ends exactly once. ErrNotLeader, ErrSuperseded, ErrNoQuorum
//     and ErrClosed mean "certainly not applied"; ErrUncertain means that the
//     entry was appended and is undecided. call_test.go
//  4. A member serves only when it has applied an entry of its own term
//     (Group.Leads), which also closes the hole that a restarted one-voter
//     group would leave. A barrier ends only after a ReadIndex round that began
//     after it was asked for. reader_test.go
//     A read under a lease counts only if Group.LeaseValid says so after the state was
//     read; lease.go says why nobody else can lead meanwhile. lease_test.go
//  5. A frame is stepped only if its cluster, group, sender and receiver are
//     known; Raft ids are never reused by the callers. codec_test.go
//  6. Membership follows the wish: learners first, then, when all of them have
//     caught up, one joint change. {A} becomes {A,B,C}, never {A,B}. A leader
//     never removes itself: it hands over to a voter that stays. One that has
//     left tells those who stay what is committed (hint.go).
//     membership_test.go, hint_test.go
//  7. Ticks that a stalled process missed are not replayed. host_test.go
//     A group needs only its own voters: it opens with the members and addresses of
//     the last wish, which the log keeps with it. known_test.go
//     What waits is bounded in bytes: what is on its way to a member, what a node
//     has sent to this one, what one turn handles. flow_test.go
//  8. A restart at any applied index gives raft the configuration that it had
//     there. restore_test.go
//  9. A gather ends at its time; an idle group never waits. gather_test.go
//  10. A log is cut only behind what its member's state holds durably, whatever
//     a crash takes back; that of a member without state only behind what two
//     members with state hold, or the only one. An arbiter's copy is given up only
//     when those that serve hold what its log has lost. trimmer_test.go,
//     copy_test.go, sim_test.go
//  11. A log is kept for members that are on their way: one that is being sent a
//     snapshot, one that has just got it, one that follows slowly. Each of these
//     ends at some time. trimmer_test.go, sender_test.go
//  12. A member goes over to another state, and its log to that state's place, in
//     one batch of the log: a crash leaves both as they were, or both new. It
//     never goes back, and never acts in a term before that of its state.
//     sender_test.go, sim_test.go
//  13. A member that needs a snapshot gets one in the end, whatever is lost,
//     stops or changes on the way. sender_test.go, sim_test.go
//  14. What a peer says about terms, indexes, entries, memberships and offers is
//     held against what the member has before raft sees it; what cannot be is
//     dropped and logged, and a membership change that cannot be is passed over by
//     every member: nothing that a peer sends ends the process. plausible_test.go
//  15. A group that has lost its majority for good goes on from one member, if that
//     member's owner says so: under a new Raft id, as its only voter, over its whole
//     log. A crash leaves the former member or the new one. refound_test.go
//     In a process that does not run, a group of another id takes its place
//     likewise. succeed_test.go
//
// # Shape
//
// A Group is made of parts that own their fields and belong to the loop: proposer
// (writes), reader (barriers, lease), applier, membership, trimmer (cuts of the log),
// sender and receiver (snapshots), freshness (age of what a follower reads). The rest
// is what drives them: loop.go, receive.go and role.go.
//
// The loop, the persister and the appliers are step functions over explicit
// queues (Host.step, persister.step, applier.step); goroutines around them only
// wait and call them, so that the tests drive them in any order with a clock, a
// network and disks of their own (lab_test.go), and a simulation proves all of
// the above at once under crashes, partitions and failing disks (sim_test.go).
// Whole nodes are simulated in node/server (sim_test.go); real processes that die
// at every step of a write, a cut and a snapshot are in testbed/e2e/crash_data_test.go.
package multiraft
