// Package clib gives to the system what SQLite has given back to the C library, which
// keeps it for whoever asks next.
package clib

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

// Declared here rather than included, since with -tags libsqlite3 there may be no
// header; and weak, as this package is first linked by itself.
extern long long sqlite3_memory_used(void) __attribute__((weak));

static void hotswap_trim(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
*/
import "C"

// Used is how many bytes all of SQLite's connections have
// (https://www.sqlite.org/c3ref/memory_highwater.html); 0 where it does not count.
func Used() int64 { return int64(C.sqlite3_memory_used()) }

// Trim gives the free pages of the C library's heap to the system (malloc_trim(3)). Who
// allocates there meanwhile waits: for about a millisecond for each 8 MB that were free.
// With another library than glibc it does nothing.
func Trim() { C.hotswap_trim() }
