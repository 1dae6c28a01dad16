// Package ecosystem has tests only: of libraries that programs with SQLite use, with this
// driver. Their own tests are run on go-sqlite3, on this driver, and on this driver while
// every database is being swapped all the time; what passes on go-sqlite3 must pass here.
// What docs/libraries.md says for each library is run, too, as are the drivers around
// other drivers that trace, log or measure.
//
// It is a module of its own, so that what those need is not in hotswap's go.mod.
package ecosystem
