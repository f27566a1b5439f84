// Package rdb reads and writes the payload of DUMP and RESTORE: one value in the form
// of Redis's RDB files. It is pure: bytes in, bytes out.
//
// # Layout
//
//	type:1 value… version:2 checksum:8
//
// Version (of the RDB format) and checksum (CRC-64 of Jones, of everything before it)
// are little endian. In the value, lengths are
//
//	00xxxxxx                 6 bits
//	01xxxxxx x               14 bits, big endian
//	10000000 xxxx            32 bits, big endian
//	10000001 xxxxxxxx        64 bits, big endian
//	11xxxxxx                 not a length: a string in another form
//
// and a string is its length and its bytes, or a number of 1, 2 or 4 bytes (11000000,
// 11000001, 11000010; little endian), or compressed (11000011: the compressed length,
// the length, LZF). Small values are one string, which is a listpack, ziplist, zipmap
// or intset; large ones a number of elements, and these.
//
// # What is read
//
// Everything that Redis up to 8.6 and Valkey 9 write of strings, lists, sets, hashes,
// sorted sets and streams. The two give type 22 different meanings; the version tells them
// apart: Valkey's begin at 80.
//
// # What is written
//
// Version 10, of Redis 7.0, in which all of them read, and for a hash whose fields
// expire version 12, of Redis 7.4. Values that Redis keeps as a listpack are written as
// one, and others in plain form, so a Redis that restores one keeps it as if its own
// commands had made it. Strings are compressed where that saves something.
//
// # Payloads that lie
//
// A payload comes from a client. Whatever its bytes are, Decode returns a value or an
// error; it does not panic, and allocates in proportion to what is there, within
// Limits. It is stricter than a Redis with sanitize-dump-payload no, its default: an
// element that comes twice, a listpack that does not fit together, or bytes that are
// left over are an error. The order of a sorted set in a payload counts for nothing.
package rdb
