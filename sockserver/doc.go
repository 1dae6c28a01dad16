// Package sockserver lets the command hotswap, or a [Client], replace and copy
// the SQLite databases of a running program: it serves package swapper over a
// Unix socket. It is the only package that knows the protocol.
//
// The smallest program:
//
//	db, err := sql.Open("sqlite3-hotswap", "db/production.sqlite3")
//	...
//	server, err := sockserver.Start(sockserver.Config{})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//
// From then on `hotswap cp new.sqlite3 db/production.sqlite3` swaps the
// database under db, and `hotswap cp db/production.sqlite3 copy.sqlite3`
// copies it.
//
// # Protocol
//
// The protocol is HTTP/1.1, so curl --unix-socket tmp/sockets/hotswap.sock can
// speak it; docs/api.md describes all of it:
//
//	GET /v1/databases[?path=]  the managed databases, a JSON list of DatabaseInfo
//	GET /v1/backups?path=      what pushes have kept of one, a JSON list of swapper.Backup
//	GET /v1/snapshot?path=     a consistent copy of one; its size is in Hotswap-Size
//	PUT /v1/database?path=     the body replaces the database; answers a swapper.Report
//	POST /v1/held?path=        holds a snapshot; answers hashes of it
//	POST /v1/held/hashes?held= more of them; /v1/held/patch what differs, /v1/held/release
//	GET /v1/version            a VersionInfo
//	GET /metrics               the metrics, if the program serves any: see [Config.Metrics]
//	GET /v1/events[?id=]       the status lines; on the stderr socket, at any path
//	GET /                      for a browser, a page that shows and does all of this
//	GET /v1/page               a PageInfo, what the page may do
//
// path is absolute, or the word "database" for the only managed one. A PUT
// takes skip_integrity_check, skip_constraint_check, skip_schema_check,
// skip_rehearsal, quick, force, backup, dry_run and digest (1 or 0; backup also
// simple, numbered or existing, with keep), method
// (auto, rename or in-place), timeout and max_pause ("1m30s"), source (a name
// for the log), size (in bytes, if the body is chunked), id (the command's) and
// from ("backup", without a body: the backup beside the database is pushed);
// and if_changed, the body's SHA-256 in hexadecimal: if the last push had the
// same, and nothing has been written since, the answer is a Report with
// unchanged set, and the body is not read. With If-Match, or if_match, the database
// must still have the content that a snapshot's ETag names, which comes as a trailer.
//
// A truncated body is never taken for a complete one: it ends by its
// Content-Length or its last chunk, and a Content-Digest (RFC 9530, sha-256) in
// a header, or in an announced trailer, must match. A snapshot with a body
// always has one. A snapshot that fails on the way breaks off, without a
// trailer.
//
// A client on the same machine may pass a descriptor instead of the bytes: with
// the first bytes of its connection (SCM_RIGHTS), announced by the header
// Hotswap-Descriptor ("source" with a PUT, "destination" with a snapshot). The
// server then copies within the kernel and asks for no body; the answer to a
// snapshot says Hotswap-Descriptor: filled, and has no body either. A server
// that received no descriptor proceeds as if there were no header. Computing the
// SHA-256 takes longer than copying, so a snapshot into a descriptor has one
// only with digest=1, and so does a push whose integrity check is skipped or
// quick.
//
// A client elsewhere, which can pass none, has the server hold a snapshot of the live
// database instead, finds what differs from it by hashes, and sends or gets only that,
// as a patch: see package hotswap/internal/extents. A patched snapshot becomes the stage
// of the push once it has the SHA-256 that the patch says.
//
// An error is an RFC 9457 problem detail, see [Problem].
//
// The stderr socket streams one line per event: as text, or as NDJSON for an
// Accept of application/x-ndjson. With an id it streams that command's lines
// only, and ends with the last of them. A reader that is too slow loses the
// oldest lines and learns how many; it never delays a swap.
//
//	curl --no-buffer --unix-socket tmp/sockets/hotswap.stderr.sock http://hotswap/
//	printf 'GET / HTTP/1.0\r\n\r\n' | nc -U tmp/sockets/hotswap.stderr.sock
//
// # Access
//
// The sockets have mode 0600, in a directory that is created with 0700, and a
// peer must run as the process's own user or as root, unless [Config] admits others.
// Whoever is admitted may read and replace every managed database. A client
// opens its files itself: the server reads and writes no file for it but the
// managed databases, and files whose open descriptors it passes, as far as it
// has opened them for that. [Handler] checks no peer. A browser may push only with
// [Config.UI], and does nothing that a page of another origin asks of it.
//
// # Life cycle
//
// [Start] serves in the background until [Server.Close], which aborts what has
// not been committed, or [Server.Shutdown], which waits first. Both may be
// called more than once and from any goroutine, except from within a request.
package sockserver
