// Package replica keeps this node's replicas of shard groups in line with the
// topology, and the topology in line with what the groups have become.
//
// Each replica has a worker (worker.go), which is level-triggered: whenever the view or
// a group's leadership changed, it compares the two and takes every step that brings
// them closer. No step depends on an event having been seen, so a crash between any
// two of them costs nothing but time:
//
//   - Nothing is done by a view older than one that was acted upon before a
//     restart: what the view does not know yet would be destroyed, and a group
//     that its founder has left would be founded again.
//   - A replica that the view wishes for is created; one that it no longer knows
//     is destroyed, and not before: until the group is rid of it, its vote may be
//     needed. A replica under another Raft id is destroyed first: ids are never
//     reused. An arbiter that is to hold data, or the other way round, goes on
//     under its id, over its log.
//   - What is dropped goes to an attic, and is deleted when it is old or the disk
//     needs the space: attic.go.
//   - A replica whose log no longer connects to its leader's, and an arbiter that
//     is to hold data and whose log has lost the beginning, gets a state that is
//     fetched beside everything else: catchup.go.
//   - A replica whose store is damaged becomes a vote without data, and is sent the
//     data anew, if another whole copy lives: damage.go.
//   - Where the view says that the group goes on from this node's replica under a new
//     Raft id (topology.Shard.Refound), its folder and log become the new one's.
//   - The view's membership is the group's wish; multiraft carries it out. When
//     it has, the leader reports so and the leavers may go.
//   - The leader reports who votes and who has the data, whenever that changes:
//     MetaRaft refuses what would drop the last copy by that.
//   - No step waits for anything but its own report or write, nor for another step or
//     replica: what has to come about first, such as a new member's catch-up, brings
//     the worker back.
//   - The leader takes up slots that the view gives to its shard (Own), gives up
//     those that an intent asks for (Seal), and reports the seal.
//   - A leader that the view does not name as master reports its term.
//   - The leader deletes what has expired.
package replica
