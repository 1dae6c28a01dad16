// Package drivers has benchmarks only: this driver and go-sqlite3 beside the SQLite
// drivers that do without cgo, modernc.org/sqlite and github.com/ncruces/go-sqlite3, and
// beside zombiezen.com/go/sqlite, which is modernc's SQLite without database/sql.
//
// As in the benchmarks one directory up, all of them run within each iteration, in turn,
// and what is reported is the median of the ratios to go-sqlite3 of each iteration. It is a
// module of its own, so that none of them is in hotswap's go.mod.
//
// go-sqlite3 and ncruces' driver both register as "sqlite3", so the latter gets another
// name when it is linked: see `make drivers`.
package drivers
