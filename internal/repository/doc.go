// Package repository keeps published versions of databases on an engine: it publishes,
// lists, fetches and collects them. It knows nothing of who is to have which version.
//
// # What is kept
//
// A version is a key of the bucket and chunks in the stream (see package engine). A file is
// divided into extents (see package extents). Those that are new travel in packs, which are
// up to 256 KiB of extents in one Zstandard frame; the name of any chunk is the SHA-256 of
// its bytes, which is verified before anything is made of them. The index of a version has
// the names of its packs, and where in them each extent is; and, in blocks of 4096, the
// digests of its extents, so that a node finds what it has already. The manifest names the
// index and has the SHA-256 of the whole file; it is signed.
//
// A publisher refers to the packs of the version before, and writes extents that differ. A
// pack of which less than half is used any more is not referred to: its extents are
// written anew. So what is kept is at most about twice what the versions need, and is never
// rewritten.
//
// # Publishing
//
// The key of a version says that it is being published, or is published, or is about to be
// removed. The publisher
//
//  1. creates the key, as an intent, with a TTL that it renews: at revision s1
//  2. reads the channel's keys up to s1, and takes the newest published version as its base
//  3. writes all chunks that the base does not have, and waits for each acknowledgement
//  4. asks the leader of the stream whether all are there
//  5. swaps the intent for the manifest, if the key is as it has left it
//
// Whenever it dies before 5, nothing is to be seen of the version.
//
// # Collecting
//
//  1. a mark is put into the bucket: whoever may not do that ends here. Then versions that
//     nobody needs become retiring, by compare-and-swap: at revisions r
//  2. the last sequence of the chunks is noted: S
//  3. another mark is put into the bucket: at revision s2; and the bucket is read up to s2
//  4. a retiring version that an order, a pin or a rollout names after all is published
//     again; the others are removed, if they are as they were read
//  5. if there is any intent, no chunk is removed, this time; but one that nobody has renewed for three
//     times its TTL, which the engine should have removed, is removed instead, if it is as it was read
//  6. else the chunks are removed that no version names, and whose sequence is S or less
//
// A collection that fails takes back what it has made retiring. If it was killed, the next one
// does, unless it removes the version itself; and so does whoever is to refer to the version
// (see Claim): 4 finds that it is not as it was read, and it stays.
//
// No chunk that a version names is ever removed. Say that a version refers to a chunk,
// and a collection has removed it at 6. Its publisher had an intent, at s1.
//
//   - s1 < s2, and the intent was still there when the bucket was read: 5 forbids it.
//   - s1 < s2, and it had become a version by then: that was read, and 6 spares its chunks.
//   - s1 < s2, and it had expired, or was removed at 5: the publisher can't have swapped it at its 5.
//   - s1 > s2, and the publisher has written the chunk: that was behind s1, so behind s2, and
//     the chunk has a sequence above S. Writing what is there already gives it a new one.
//   - s1 > s2, and the chunk is of its base, which was published at s1. If that was there at s2,
//     4 has not removed it: it would have been retiring at s2, and as it was read then, but it
//     was published since. So 6 spares its chunks. If it was not there at s2, all this is so of
//     its own intent.
//
// A collection that is paused anywhere, for however long, removes sequences that no version
// named then; the same content written since has another sequence. All clocks here are the
// engine's.
//
// # Object storage
//
// The chunks of a version may be in a bucket of an object storage instead, which its manifest
// names; all else stays on the engine. There are no sequences there, so who writes makes the
// difference: a version's chunks are in a directory of its own,
//
//	fleet-<of the engine's bucket>/<channel>/<number>-<s1>/<SHA-256>
//
// and its index says in which directory each chunk is that it has from the versions before. A
// revision is given once, so nobody but the publisher of that version ever writes there. Instead
// of 2, a collection lists the objects; at 6 it removes those listed that no version names, and
// whose s1 is below the revision of its first mark: an engine that was started from a copy of
// another one's directory has not given the others itself.
//
// Say that a version refers to an object that a collection has removed. The object was listed,
// so the publisher of its directory had its intent, at s1, before the mark at s2.
//
//   - The intent was there at s2: 5 forbids it.
//   - It had become a version by s2. Either that version was there at s2, and 6 spares what it
//     names; or it had been retired. Then whoever refers to the object has it, directly or
//     through others, from a base that was published at s2, and names the object too, since a
//     version has chunks of its base alone; or from one whose intent was there at s2. 6 spares
//     the first, and 5 forbids the second.
//   - It had expired: nothing refers to what a version has that was never there.
//
// A listing that lacks an object leaves it for the next collection, and one that has an object
// too many removes it twice. A publisher to whom a listing does not show a chunk of the base
// writes all anew. An object is written in one piece, or not at all; what a publisher that was
// killed has written is removed by a collection, as is what one writes whose intent has expired.
// The storage must let an object be read once it has confirmed it.
package repository
