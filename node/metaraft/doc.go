// Package metaraft is the one Raft group that owns the topology: which nodes
// are members, who holds which shard, who owns which slot. It has two halves.
//
// Machine is the state machine: committed proposals in, outcomes and an
// immutable State and topology.View out. It knows no clock, no network and no
// Raft; what it does depends on the log alone. Node is the driver around it: it
// forwards changes to whoever leads, joins and leaves clusters, and watches who
// is alive.
//
// # The border
//
// The package decides what the topology should be; it never touches a shard's
// group. The group's leader makes the wished members so and reports back
// (MembershipDone, Takeover, Sealed, ClearResidue, GarbageGone), and the one of the
// shard that gets slots says when it has them (HandOver, CompleteMigration). Nothing here
// imports the Raft host either: the driver sees its own member through the interface Raft.
// So every rule about the topology can be tested without a cluster.
//
// # Every check is inside apply
//
// A change is checked and carried out in one step at its place in the log. What
// a proposer saw before only decides what it proposes. A change works on a
// draft, a copy of the state that is thrown away when the change is refused:
// all or nothing holds by construction. The two exceptions record how they were
// refused: CancelIntent (the slots get a new epoch; so it is with an intent that
// was to take empty slots and found keys, or to give them to another shard) and a refused Admit (its token is
// burned; the refusal is in Outcome.Admit).
//
// After each change what follows from it is derived (derive.go): arbiters, voters of
// MetaRaft and version numbers depend on the rest of the state and on the choices
// made before, so that as little as possible moves.
//
// # Invariants of State, and where each is tested
//
// violations, history and checkStep in invariants_test.go check them after every
// step of random sequences; TestKinds checks violations after every change of
// the scripts in testdata.
//
//   - A slot has at most one owner, and that shard exists: the shape of
//     SlotTable, violations.
//   - A slot's epoch never falls, and rises whenever the slot gets an owner:
//     history.
//   - The Raft ids of all groups come from one counter and are never given out
//     twice; a membership that ended never returns, and its node and kind never
//     change: violations, history. A member of MetaRaft keeps its id for life, unless it
//     comes back without part of its log: testdata/comeback.txt.
//   - A shard's version rises whenever its members change: history.
//   - A node that is forgotten, leaves or follows another master never takes along
//     the last copy of a shard's data that is whole and alive, nor the majority of
//     its group, unless by force or as the sole data member that said it is empty:
//     guardViolations, testdata/guard.txt, testdata/force.txt.
//   - Only members that are to hold the shard's state are synced; a report older
//     than the last one changes nothing: violations, testdata/synced.txt.
//   - A published State never changes: runRandomSequence.
//   - A shard's master is a wished data member; members are nodes of the
//     cluster, and a node holds the data of at most one shard: violations.
//   - In a cluster of at least three nodes every shard that owns slots, or has
//     more than one data member, has at least three voters; arbiters fill up to
//     three and never more, but for one that has the only copy: violations. (Leftover keys count like slots.)
//   - A shard whose data is on fewer than two living nodes for long gets a copy on
//     an arbiter's; the only copy that is left is not taken away by anything that
//     nobody asked for: copies.go, TestCopyChange, TestLastCopyStays.
//   - A node that stays failed loses its places as arbiter and its vote in MetaRaft
//     to nodes that live, and only those: testdata/relieve.txt, TestRelief.
//   - A shard counts as without a leader only until somebody takes it over, and
//     never by a report that is older than that: testdata/unled.txt.
//   - MetaRaft has an odd number of voters, five at most, unless nodes were
//     promoted by hand; promoted nodes vote until they are forgotten:
//     violations, testdata/voters.txt.
//   - Pending intents share no slot, cover only slots that have an owner, and wait only for shards that exist. A slot
//     keeps its owner until its intent is carried out: violations,
//     testdata/slots.txt.
//   - A slot of which some shard still holds keys is not given to another one that
//     holds none, by nothing: testdata/slots.txt, testdata/join.txt, testdata/setslot.txt.
//   - A slot passes from one owner to another only sealed, by the intent that names the
//     new one, and not to a shard that has garbage of it: handViolations, violations.
//   - An active migration is copying, and has no intent, or is handed over, and has one
//     with its slots; all of these are its source's, in no other migration and not open.
//     It never comes back from an end: moveViolations, seeMigrations.
//   - Nothing is stuck: for whatever is pending (intent, migration, garbage, residue,
//     mark) there is a change that somebody can make, and in the end nothing is left:
//     checkNothingStuck.
//   - A slot is open on its owner for migrating, on another shard for importing, and with
//     a shard that exists: markViolations.
//   - Nothing changes in a cluster that is frozen or dissolved except how join
//     tokens end: testdata/join.txt.
//   - A join token ends once: admitted, refused or burned: testdata/join.txt.
//   - Roles and config epochs outlive a cluster that dissolves; no two members
//     are still to be reunited: testdata/reunite.txt, violations.
//   - A node that left is not removed again by a late Leave after it came back:
//     testdata/leave.txt; nor by that of a copy of its folder: TestFarewellOfACopy.
//   - A member's recorded incarnation is only followed by one of a folder that
//     continues it: TestAnnouncementsOfCopies, TestJoinersWithAMembersID.
//   - The same (node, nonce, seq) is applied once; later ones get the first
//     outcome, or Uncertain where that was forgotten, never a second
//     application: TestRetriesGetTheFirstOutcome, checkStep.
//   - A refused change leaves no trace but its outcome: checkStep, TestKinds.
//   - The same log gives the same bytes on every member, however it was cut
//     into calls and wherever the process restarted: replay in random_test.go.
//   - A MetaRaft that begins again from one member gives out nothing again that the
//     former one may have given out, and keeps all else: TestSucceed.
//   - State and applied index are stored together. What the machine does not
//     understand stops it before anything is published: TestReopenContinues,
//     TestUnknownEntriesAreFatal, TestFailedWriteIsNotPublished.
//
// # Slots that move
//
// A Migration is copying until its target's leader proposes HandOver: an Intent with a
// new owner and a new slot epoch, for which the source's leader seals the slots. When a
// majority of the target has everything up to that seal, CompleteMigration gives the slots
// away. Until then anything may end it without effect: then the source has a newer epoch,
// if it had sealed, and takes the slots up again. HandBack is the way back from a
// hand-over that takes too long; either side's leader asks for it, so that no client waits
// for a node that is gone.
//
// CLUSTER SETSLOT opens slots (Mark) and closes them, and gives them away by an Intent as
// well, for which the owner must not hold a key any more.
//
// What the loser has of the slots, the source after the change or the target after an
// end, is Garbage: not given to that shard again before its leader has deleted it. It has
// an epoch, so that a late report says nothing of what came later. A target that imported
// key by key (a Mark) and does not get the slot may hold keys that clients wrote: those
// are residue, which nobody deletes.
//
// What other changes do, in testdata/moves.txt, retire.txt and setslot.txt unless
// another place is named:
//
//   - FLUSHALL: a shard's log ends its part, and its worker fails the migration.
//   - DELSLOTS and FLUSHSLOTS of one of the slots fail the migration; they are refused
//     while SETSLOT NODE waits for the owner. An owner's mark goes with its slot.
//   - ADDSLOTS (and every other way to a slot) waits for garbage: TestSlotsWaitUntilTidy.
//   - FORGET, RESET, ComeBack, or a join as a new node: a migration goes on with what is
//     left of both shards. With the last data member of either it fails. The source is
//     guarded as the owner that it is. So is a shard that imports key by key; a target is
//     not, since it has nothing that its source has not. RESET closes the marks first:
//     TestResetClosesImports.
//   - FORGET … FORCE by which a shard begins again from a copy fails its migrations: the
//     copy may lack what was agreed.
//   - REPLICATE: a target, or who imports key by key, becomes nobody's replica.
//   - FAILOVER: migrations and marks are between shards, whoever leads them.
//   - MEET: a node that is alone can have garbage at most, and deletes it first. A cluster
//     that imports keys does not dissolve.
//   - aikv recover: what is copying goes on, and so does a hand-over: its target may have
//     everything, and says so. Marks get a new epoch.
//   - A shard that gives its last slot away, by either way, dissolves if it has nothing
//     else and is to get nothing: its nodes become replicas of the new owner.
//
// Over real processes, nodes that die at every step of joins, intents, seals and
// resets are in testbed/e2e/crash_test.go, storms of conflicting commands in
// storm_test.go there.
//
// # Leaving members
//
// A membership that is wished no more stays in ShardRecord.Leaving until the
// group's leader reports that version of the wish done: the group may still
// contain it. Such an entry never asks a node to start a member. A node may be
// leaving under one Raft id and wished under another at the same time (an
// arbiter that becomes a replica). When a node that had left alone returns, the
// node of its old entries becomes 0, so that they cannot be taken for its own.
package metaraft
