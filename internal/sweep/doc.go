// Package sweep is a test: it does a push, and a pull, once for every system
// call that they make on a file, and each time has that one call meet a fault.
// Either the process is killed with SIGKILL before the call, or the call
// returns EIO or ENOSPC, once or from then on. After each the database must be
// wholly the old one or wholly the new one, what Push said of it must be true,
// and the next push must find nothing in its way.
//
// A child process, the victim, opens the database and does the operation. It
// puts itself under a seccomp filter whose user notifications go to the test
// (seccomp_unotify(2), Linux 5.9): every system call of every thread of the
// victim that may concern a file waits until the test has told it to go on, to
// fail or to die. The first run of a scenario only records the calls; a point
// is one of them, and its number is its place in that record. A run whose calls
// differ from the record before its point fails the test.
//
//	go test ./internal/sweep                                      # a thin sample
//	go test ./internal/sweep -sweep full                          # every point
//	go test ./internal/sweep -run 'Kill/rename-WAL$' -point 57 -v # one point again
//
// A new way to push is a line in the table of scenario_test.go. The sweep is
// itself tested with operations that are wrong on purpose, in broken_test.go.
package sweep
