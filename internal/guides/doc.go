// Package guides has only tests: they do what the guides in docs say, so that
// no command in them stops working unnoticed.
//
// Of a guide's fenced blocks, console blocks are run, line by line, in a shell;
// a block whose first line is a comment with a file's name becomes that file,
// and Go files are vetted and built; unit files are verified. Programs that swap
// and hotswap itself are the real ones. The tools that need another machine, a
// cloud or a service manager are stand-ins: see standins_test.go.
package guides
