// Package interrupt ends what a go-sqlite3 connection is running, from any goroutine.
// go-sqlite3 has no call for it: it interrupts once, when the context of one of its own
// calls ends, and such an interrupt is lost if it comes just before the step that it is
// meant for.
package interrupt

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup

// Declared here rather than included, since with -tags libsqlite3 there may be no
// header; and weak, as this package is first linked by itself.
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_mutex sqlite3_mutex;
typedef struct sqlite3_stmt sqlite3_stmt;
extern void sqlite3_interrupt(sqlite3 *) __attribute__((weak));
extern int sqlite3_is_interrupted(sqlite3 *) __attribute__((weak)); // since 3.41.0
extern int sqlite3_total_changes(sqlite3 *) __attribute__((weak));
extern int sqlite3_txn_state(sqlite3 *, const char *) __attribute__((weak)); // since 3.34.0
extern int sqlite3_db_release_memory(sqlite3 *) __attribute__((weak));
extern int sqlite3_db_readonly(sqlite3 *, const char *) __attribute__((weak));
extern int sqlite3_busy_timeout(sqlite3 *, int) __attribute__((weak));
extern sqlite3_mutex *sqlite3_db_mutex(sqlite3 *) __attribute__((weak));
extern void sqlite3_mutex_enter(sqlite3_mutex *) __attribute__((weak));
extern void sqlite3_mutex_leave(sqlite3_mutex *) __attribute__((weak));
extern sqlite3_stmt *sqlite3_next_stmt(sqlite3 *, sqlite3_stmt *) __attribute__((weak));
extern int sqlite3_stmt_busy(sqlite3_stmt *) __attribute__((weak));

static void hotswap_await_step(void *db) {
	sqlite3_mutex *m = sqlite3_db_mutex(db);
	sqlite3_mutex_enter(m); // does nothing without a mutex
	sqlite3_mutex_leave(m);
}

static int hotswap_active(void *db) {
	sqlite3_mutex *m = sqlite3_db_mutex(db);
	sqlite3_mutex_enter(m);
	sqlite3_stmt *s = 0;
	do
		s = sqlite3_next_stmt(db, s);
	while (s != 0 && !sqlite3_stmt_busy(s));
	sqlite3_mutex_leave(m);
	return s != 0;
}

static int hotswap_interrupted(void *db) {
	if ((sqlite3_is_interrupted && !sqlite3_is_interrupted(db)) || !hotswap_active(db))
		return 0;
	return sqlite3_is_interrupted ? 1 : -1;
}

static int hotswap_transacts(void *db) { return sqlite3_txn_state ? sqlite3_txn_state(db, 0) != 0 : -1; }

static int hotswap_writes(void *db) {
	const int write = 2; // SQLITE_TXN_WRITE
	return sqlite3_txn_state ? sqlite3_txn_state(db, "main") == write : -1;
}

static int hotswap_readonly(void *db) { return sqlite3_db_readonly(db, "main") == 1; }

static int hotswap_uses_temp(void *db) { return sqlite3_db_readonly(db, "temp") >= 0; }
*/
import "C"

import (
	"reflect"
	"time"
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// Handle is the SQLite connection inside a go-sqlite3 one. The zero Handle, and one
// whose connection is closed, must not be used. Its methods are safe for concurrent
// use.
type Handle struct{ db unsafe.Pointer }

// Of returns the handle of an open connection; ok is false if this go-sqlite3 keeps it
// elsewhere than the known ones do.
func Of(c *sqlite3.SQLiteConn) (h Handle, ok bool) {
	db := reflect.ValueOf(c).Elem().FieldByName("db")
	if !db.IsValid() || db.Kind() != reflect.Pointer {
		return Handle{}, false
	}
	return Handle{db.UnsafePointer()}, !db.IsNil()
}

// Interrupt makes what runs on the connection return SQLITE_INTERRUPT soon. It does not
// wait for that, and has no effect between two steps
// (https://www.sqlite.org/c3ref/interrupt.html).
func (h Handle) Interrupt() { C.sqlite3_interrupt((*C.sqlite3)(h.db)) }

// Interrupted reports whether an interrupt is to take effect that came while a statement
// was active, and one still is (https://www.sqlite.org/c3ref/interrupt.html): SQLite says
// so beyond that, until the next statement begins. SQLite before 3.41.0 does not say at
// all: known is then false while a statement is active. The connection's user calls it.
func (h Handle) Interrupted() (pending, known bool) {
	is := C.hotswap_interrupted(h.db)
	return is == 1, is >= 0
}

// Changes is how many rows all statements of the connection have changed, those changed by
// triggers and foreign keys among them (https://www.sqlite.org/c3ref/total_changes.html).
func (h Handle) Changes() int { return int(C.sqlite3_total_changes((*C.sqlite3)(h.db))) }

// Transacts reports whether a transaction is open that has read or written, on any schema
// (https://www.sqlite.org/c3ref/txn_state.html). SQLite before 3.34.0 can't say: then known is
// false.
func (h Handle) Transacts() (began, known bool) {
	is := C.hotswap_transacts(h.db)
	return is == 1, is >= 0
}

// Writes reports whether the connection has main's write lock; known is as of Transacts.
func (h Handle) Writes() (writes, known bool) {
	is := C.hotswap_writes(h.db)
	return is == 1, is >= 0
}

// ReadOnly reports whether main was opened only to be read
// (https://www.sqlite.org/c3ref/db_readonly.html).
func (h Handle) ReadOnly() bool { return C.hotswap_readonly(h.db) == 1 }

// UsesTemp reports whether there is a temp database, as there is from the first time on that
// something is made in it, or looked for (https://www.sqlite.org/c3ref/db_readonly.html).
func (h Handle) UsesTemp() bool { return C.hotswap_uses_temp(h.db) == 1 }

// SetBusyTimeout sets for how long the connection waits for a lock
// (https://www.sqlite.org/c3ref/busy_timeout.html).
func (h Handle) SetBusyTimeout(d time.Duration) {
	C.sqlite3_busy_timeout((*C.sqlite3)(h.db), C.int(d.Milliseconds()))
}

// ReleaseMemory gives back what the connection keeps of its files' pages
// (https://www.sqlite.org/c3ref/db_release_memory.html).
func (h Handle) ReleaseMemory() { C.sqlite3_db_release_memory((*C.sqlite3)(h.db)) }

// AwaitStep returns when the step that runs on the connection has ended, which a user's
// SQL function may delay for ever. For a connection that was opened without a mutex
// (_mutex=no) it returns at once.
func (h Handle) AwaitStep() { C.hotswap_await_step(h.db) }

// Pointer returns SQLite's own handle, a sqlite3*, for C code of ours.
func (h Handle) Pointer() unsafe.Pointer { return h.db }
