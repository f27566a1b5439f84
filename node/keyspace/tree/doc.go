// Package tree is a counted B+tree of pages: what big values of every type are
// made of. Items are in order, each with a key or, in a list, without; inner
// pages know the number of items below each child, so that reading, changing,
// rank and the item at a position are O(log n) for all types.
//
// # Border
//
// The package is pure: the same operations in the same order give the same
// pages, byte for byte, whatever was read in between (when Flush is called
// matters neither). It knows pages by number within an object, through Reader
// and Writer; it knows nothing of keys of the keyspace, types or time. The owner
// keeps a Root a tree and one Numbers an object in the key's metadata. A View is
// a root over pages that never change: where the pages below it are kept by
// version, an old root reads the old state.
//
// # Layout
//
// Numbers in pages are little endian. A page is
//
//	level:1 n:2 slot… cell…
//
// with a slot and a cell for each of n ≥ 1 items or children. Level 0 is a leaf.
//
//	leaf     slot  offset:2                        cell  length of key (uvarint), key, value
//	inner    slot  offset:2 child:4 cut:1 count:47  cell  separator
//
// Offsets are those of the cells, counted from where cells begin. Everything
// lies in order and without gaps: a page is searched, changed and copied as the
// bytes that it is, and is never decoded.
//
// Items sort by bytes.Compare of their keys. A sorted set is (score, member), a
// hash (fingerprint, field), a stream its ids, in encodings that sort.
//
// # Invariants
//
//   - Keys ascend strictly, or all are empty (a list).
//   - A separator is above all keys before its child, and not above those in and
//     after it. The first child of a page has none: its cell is empty.
//   - A separator is as short as it can be, and no longer than an eighth of a
//     page: one that would be longer is cut, and its cut bit set. Then a key that
//     begins with what is left of it is compared with the first key below the
//     child itself. This is right whatever becomes of the key that the separator
//     was made from: keys before the child stay below the first key in it. So
//     inner pages have a fan-out of seven at least (at the usual size), however
//     long the keys.
//   - The count of a child is the number of items in or below it, never 0.
//   - An inner page has two children at least. All leaves are equally deep.
//   - No page of several items is larger than the page size (an inner page of two
//     or three children may be). An item that is larger has a page of its own,
//     which it shares with nothing.
//   - A page is at least a quarter full. Exceptions: the root; the first and the
//     last page of a level, as what comes in order fills pages to the end and then
//     begins another; and pages next to which an item of more than a quarter of a
//     page is or was.
//
// # Algorithm
//
// B+trees with counts are Knuth's (The Art of Computer Programming 3, 6.2.3 and
// 6.2.4); the shortest separator is Bayer and Unterauer's prefix B-tree (1977).
// A page that outgrows its size falls into halves by bytes, or, where an append
// (or prepend) to the tree has done it, into the full page and the new item. A
// page below a quarter is joined with a neighbour under the same parent if both
// together fill three quarters at most (half a page lies between joining and
// splitting again), else both share out anew what they have. Both go up the path
// as far as pages change.
//
// A range is deleted one page at a time, but leaves that lie wholly within it go
// unread, all those under one parent at a time.
//
// # Damaged pages
//
// Whatever bytes the pages have, an operation returns an error that names the
// page, or an answer; it does not panic, run on, or allocate more than the pages
// have. Reading checks what it touches, changing a page checks all of it first.
// Check reads everything.
package tree
