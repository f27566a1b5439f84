// Package blocking keeps the clients that are blocked on keys of a shard, as BLPOP and
// its like leave them: for each key a queue in the order of arrival. It knows neither
// connections nor the log; whoever applies entries says which keys were given a
// value, and a client is woken, looks at the data, and pops through the log.
//
// A client's way:
//
//	Keys.Block   it takes its place in the queues of its keys
//	Client.Try   it looks; where it finds something and it is its turn, it pops
//	Client.Woken it waits until there is reason to try again
//	Client.Leave it was served, or its time is over, or it is gone
//
// # Invariants
//
//   - A client pops only where all that came before it and still wait for the key
//     have a pop on its way. Pops are submitted in the order of the queue, and so they
//     stand in the log.
//   - A key that holds something and is waited for has somebody who sees to it: the
//     first in its queue is to look, or a pop is on its way, after which the first is
//     woken; or the first has found a key to which it gives precedence, of which the
//     same is true. The client that has waited longest is first in all its queues, so
//     that ends.
//   - Nothing is polled, and nobody is woken who has no reason to look. What was
//     applied while a client took its place counts as such: it may have looked too early.
//
// Clients that wait for the same key in different lanes (XREADGROUP of different groups) do
// not wait for each other, and those of a lane who take nothing (XREAD) look all at once.
//
// That a client is woken promises nothing: others may have taken what was there, and
// then it goes on waiting in its place.
package blocking
