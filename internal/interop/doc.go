// Package interop has tests only: of pushes beside programs of others that keep
// a database's file open for as long as they run, and through OpenSSH. It is a
// module of its own, so that what those need is not in hotswap's go.mod.
package interop
