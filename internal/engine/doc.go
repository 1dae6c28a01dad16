// Package engine connects to NATS JetStream, which carries what a fleet publishes, orders
// and reports: it finds the servers, makes the streams and buckets, and says in words what
// fails.
//
// # What is there
//
//	stream HOTSWAP_CHUNKS    hotswap.chunk.<SHA-256 of the bytes in hexadecimal>
//	bucket hotswap-fleet     next.<channel>, version.<channel>.<number>, order.<channel>,
//	                         progress.<channel>, pin.<channel>.<node>, lease
//	bucket hotswap-nodes     node.<node>, joined.<node>; each key with a TTL, and not synced
//	bucket hotswap-has       has.<node>.<channel>
//
// # Whom to believe
//
// With three servers any of them may answer a read, and may be behind. So the first bucket
// has no direct reads, and a decision is a compare-and-swap on the revision that was read.
// Who must know that something is not there writes first, and then reads the bucket up to
// that write, with [Engine.ReadUpTo]: whichever server answers, it has everything that came
// before. Chunks may be read from any server: the digest in the name is verified.
//
// A full stream refuses what is new (Discard New) instead of dropping what is old; a chunk
// that is written again replaces the former one, with a new sequence number, since a subject
// has one message.
package engine
