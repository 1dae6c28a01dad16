// Package moves is a test: it does things of all sorts to the path of a live
// database from outside, as people and their tools do, and holds what the program
// was told against the files that were there.
//
// A child process is the program under test, since what is to be found may end it
// (a page that is truncated away under a mapping is a SIGBUS). Writers, readers,
// slow readers and other databases that attach the file are at work in it. The
// test moves whole and broken files over the path, removes it and writes it anew,
// turns symlinks, and pushes and pulls through the program's socket, by clients
// that cancel and clients that are killed among others. Each file that leaves the
// path is kept under another name.
//
// Every file that is made is a version: its stamp is in every row, and says how
// many rows there are. Each call says which stamps it saw, in which generation;
// after the run check compares that with what the files have. Then
//
//   - each acknowledged write is in a file of the version that it went to, once;
//   - no call and no file has two versions, or a part of one;
//   - no whole file's content is hidden, lost, or written to unless it is served;
//   - a generation is one version, and none is seen after the next one began;
//   - OnSwap ran for each generation;
//   - no call failed but as it is documented, the program lives, and the file that
//     was put there last is served.
//
// Another test does no more than mv, over two databases that attach each other, with
// pools that keep no connection: so that files are opened and closed for the last
// time while they are replaced.
//
// The checker has tests of its own, which feed it histories with one thing wrong
// each. A plan follows from its seed; what comes when in it does not.
//
//	go test ./internal/moves
//	go test ./internal/moves -run Moves -moves 2000 -timeout 1h
//	go test ./internal/moves -run Moves -moves 2000 -timeout 1h -only-caller ''   # with attachers, which have a known gap: docs/databases.md
//	go test ./internal/moves -run TwoDatabases -couple 10m
//	go test ./internal/moves -run Moves -seed 7 -only 'rm live' -only-push none -v
package moves
