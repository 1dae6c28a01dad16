// Package extents finds what of a file differs from another one that is somewhere
// else, and says it in few bytes: a database of a gigabyte of which one page in a
// hundred has changed travels in some ten megabytes. It knows nothing of how the bytes
// travel, nor of SQLite but that its pages stay where they are.
//
// # Extents and groups
//
// A file is divided into extents of one size, a power of two from 4 KiB to 64 KiB: that of
// a page of the database, or 4 KiB if that is less. SQLite writes whole pages at
// multiples of their size, so what it has not written is equal at the same offset, and
// nothing is looked for at another one. 64 extents are a group.
//
// The hash of an extent is the first 8 bytes of the SHA-256 of a key and the extent's
// bytes; that of a group, of the key and its extents' hashes. So equal files cost one
// hash for each group, which is 32 KB for a gigabyte, and a group that differs costs 64
// more. Neither end keeps the hashes of extents: it reads the few groups again.
//
// # What a collision does
//
// The key is drawn at random for each transfer. Who can write rows into both files, but
// does not know the key, can prepare nothing: two different extents have the same hash
// with a probability of 2^-64, whatever they are. It would leave an extent of the base
// in the result, whose SHA-256 then differs from the one at the patch's end; that is
// computed of the whole result before anybody uses it. So a collision costs a transfer,
// which is made anew without a base, and is never wrong content.
//
// # The comparison
//
// One end, [Diff], has one of the two files, and asks for the hashes of the other.
// First it gets those of all groups, and then it asks for those of the extents in the
// groups that differ. If these are many it asks for a sample of them first, and
// compresses some extents of that: where nine in ten extents differ, or the hashes would
// take more than the equal extents that they leave out, all is taken to differ. What it finds is a [Set] of extents of the newer file, whichever end
// has that. A set travels as a bitmap, so it can't have anything twice, out of order or
// beyond the end.
//
// # The patch
//
// A patch is one Zstandard frame, so that extents compress as well as they would within
// the whole file. Integers are big-endian:
//
//	"hspatch2"  8 bytes
//	extent      uint32, in bytes
//	size        uint64, of the result, in bytes
//	runs        each: first uint64, count uint32, and the bytes of count extents from
//	            the first on; the file's last extent ends where the file does
//	end         the number of the file's extents uint64, 0 uint32
//	sha256      32 bytes, of the result
//
// Runs are in ascending order and have at most 1 MiB. Of the result, what is in no run
// is as in the base. A patch of all extents needs no base.
//
// # What it can cost
//
// All that travels is at most 1.02 of what the whole file would take compressed, and 80 kB
// for each gigabyte and 40 kB: the hashes of the groups, the sets, what is before runs, and
// the first question. (Extents of 4 KiB; larger ones take less. If the sample was not
// typical, the hashes of all extents are 2 MB for each gigabyte.)
//
// [Reader] trusts nothing: the window is at most 8 MiB, a run lies behind the last one
// and within the size, and what it returns at a time is at most 1 MiB. How large a
// result may be is for the caller to say, before anything is written.
package extents
