#include <string.h>

#include "cursor.h"

// Declared here rather than included, since with -tags libsqlite3 there may be no
// header; and weak, as this package is first linked by itself.
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_mutex sqlite3_mutex;
typedef struct sqlite3_value sqlite3_value;
#define WEAK __attribute__((weak))
extern sqlite3_stmt *sqlite3_next_stmt(sqlite3 *, sqlite3_stmt *) WEAK;
extern const char *sqlite3_sql(sqlite3_stmt *) WEAK;
extern sqlite3 *sqlite3_db_handle(sqlite3_stmt *) WEAK;
extern sqlite3_mutex *sqlite3_db_mutex(sqlite3 *) WEAK;
extern void sqlite3_mutex_enter(sqlite3_mutex *) WEAK;
extern void sqlite3_mutex_leave(sqlite3_mutex *) WEAK;
extern int sqlite3_get_autocommit(sqlite3 *) WEAK;
extern int sqlite3_step(sqlite3_stmt *) WEAK;
extern int sqlite3_reset(sqlite3_stmt *) WEAK;
extern int sqlite3_stmt_busy(sqlite3_stmt *) WEAK;
extern int sqlite3_stmt_status(sqlite3_stmt *, int, int) WEAK;
extern int sqlite3_compileoption_used(const char *) WEAK;
extern int sqlite3_data_count(sqlite3_stmt *) WEAK;
extern sqlite3_value *sqlite3_column_value(sqlite3_stmt *, int) WEAK;
extern int sqlite3_value_type(sqlite3_value *) WEAK;
extern int64_t sqlite3_value_int64(sqlite3_value *) WEAK;
extern double sqlite3_value_double(sqlite3_value *) WEAK;
extern const void *sqlite3_value_blob(sqlite3_value *) WEAK;
extern const unsigned char *sqlite3_value_text(sqlite3_value *) WEAK;
extern int sqlite3_value_bytes(sqlite3_value *) WEAK;

enum { OK = 0, ROW = 100, INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4, STATUS_REPREPARE = 5, STATUS_MEMUSED = 99 };

// SQLite keeps of a text what it has compiled: not what is blank after a semicolon.
static int same(const char *sql, const char *text, size_t n) {
	size_t length = sql == 0 ? 0 : strlen(sql);
	if (length == 0 || length > n || memcmp(sql, text, length) != 0)
		return 0;
	while (length < n && text[length] != 0 && strchr(" \t\r\n", text[length]) != 0)
		length++;
	return length == n;
}

uintptr_t hotswap_cursor_of(void *db, const char *text, int n) {
	sqlite3_stmt *s = 0, *found = 0;
	int times = 0;
	sqlite3_mutex *mutex = sqlite3_db_mutex(db);
	sqlite3_mutex_enter(mutex);
	while ((s = sqlite3_next_stmt(db, s)) != 0) {
		if (same(sqlite3_sql(s), text, n)) {
			found = s;
			times++;
		}
	}
	sqlite3_mutex_leave(mutex);
	return times == 1 ? (uintptr_t)found : 0;
}

// Reads the row that s stands on. The functions are called in go-sqlite3's order, as
// each may convert the value. Those of a value don't take the connection's mutex, as those
// of a column do, and ask for it to be held (https://www.sqlite.org/c3ref/value.html).
static int64_t read_row(sqlite3_stmt *s, int columns, struct hotswap_cell *cells) {
	int64_t bytes = 0;
	for (int i = 0; i < columns; i++) {
		struct hotswap_cell *c = &cells[i];
		sqlite3_value *v = sqlite3_column_value(s, i);
		c->type = sqlite3_value_type(v);
		c->n = 0;
		switch (c->type) {
		case INTEGER:
			c->v.i = sqlite3_value_int64(v);
			continue;
		case FLOAT:
			c->v.f = sqlite3_value_double(v);
			continue;
		case BLOB:
			c->v.p = sqlite3_value_blob(v);
			break;
		case TEXT:
			c->v.p = sqlite3_value_text(v);
			break;
		default:
			continue;
		}
		c->n = sqlite3_value_bytes(v);
		bytes += c->n;
	}
	return bytes;
}

// Copies what the cells refer to behind them.
static void keep_row(char *row, int columns, struct hotswap_cell *cells) {
	char *to = (char *)&cells[columns];
	for (int i = 0; i < columns; i++) {
		struct hotswap_cell *c = &cells[i];
		if (c->n != 0) {
			memcpy(to, c->v.p, c->n);
			c->v.i = to - row;
			to += c->n;
		}
	}
}

// Reads the row that the statement stands on, if it does.
void hotswap_cursor_reread(uintptr_t stmt, int columns, void *buffer) {
	sqlite3_stmt *s = (sqlite3_stmt *)stmt;
	sqlite3_mutex *mutex = sqlite3_db_mutex(sqlite3_db_handle(s));
	struct hotswap_fetched *f = buffer;
	sqlite3_mutex_enter(mutex);
	f->rows = f->direct = sqlite3_data_count(s) > 0;
	if (f->rows)
		read_row(s, columns, (struct hotswap_cell *)((int64_t *)(f + 1) + 1));
	sqlite3_mutex_leave(mutex);
}

// Fetches up to max rows, one within a transaction, into the buffer, which has room for
// one row's cells at least. The keeper, where max is above 1, is a statement that keeps
// the read transaction open when the last row has been stepped over.
void hotswap_cursor_fetch(uintptr_t stmt, uintptr_t keeper, int max, int columns, void *buffer, int64_t size) {
	sqlite3_stmt *s = (sqlite3_stmt *)stmt, *k = (sqlite3_stmt *)keeper;
	sqlite3 *db = sqlite3_db_handle(s);
	sqlite3_mutex *mutex = sqlite3_db_mutex(db);
	struct hotswap_fetched *f = buffer;
	char *to = (char *)(f + 1), *end = (char *)buffer + size;
	int standing = f->standing;
	f->rows = f->standing = f->direct = 0;
	sqlite3_mutex_enter(mutex);
	if (max > 1 && (!sqlite3_get_autocommit(db) || (!sqlite3_stmt_busy(k) && sqlite3_step(k) != ROW)))
		max = 1;
	do {
		f->rc = standing ? ROW : sqlite3_step(s);
		standing = 0;
		if (f->rc != ROW)
			break;
		int64_t *length = (int64_t *)to;
		struct hotswap_cell *cells = (struct hotswap_cell *)(length + 1);
		if ((char *)(cells + columns) > end) {
			f->standing = 1;
			break;
		}
		int64_t bytes = read_row(s, columns, cells);
		f->direct = f->rows == 0 && (max <= 1 || bytes > end - (char *)(cells + columns));
		if (!f->direct) {
			if (bytes > end - (char *)(cells + columns)) {
				f->standing = 1;
				break;
			}
			keep_row(to, columns, cells);
		}
		*length = ((char *)(cells + columns) - to + (f->direct ? 0 : bytes) + 7) & ~(int64_t)7;
		to += *length;
		f->rows++;
	} while (f->rows < max && !f->direct);
	sqlite3_mutex_leave(mutex);
}

int hotswap_cursor_reset(uintptr_t stmt) { return sqlite3_reset((sqlite3_stmt *)stmt); }

int hotswap_cursor_compiled(uintptr_t stmt) {
	return sqlite3_stmt_status((sqlite3_stmt *)stmt, STATUS_REPREPARE, 0);
}

int hotswap_cursor_memory(uintptr_t stmt) {
	return sqlite3_stmt_status((sqlite3_stmt *)stmt, STATUS_MEMUSED, 0);
}

// Whether sqlite3_step would have to be followed by sqlite3_unlock_notify, as go-sqlite3
// does where that is compiled in.
int hotswap_cursor_blocking(void) {
	return sqlite3_next_stmt == 0 || sqlite3_stmt_busy == 0 || sqlite3_compileoption_used("ENABLE_UNLOCK_NOTIFY");
}
