#include <stdint.h>

// What a fetch found. The rows follow it in the buffer.
struct hotswap_fetched {
	int32_t rc;       // of the last step: SQLITE_ROW, SQLITE_DONE, or an error
	int32_t rows;     // in the buffer
	int32_t standing; // the statement stands on a row that is not in the buffer
	int32_t direct;   // texts and blobs are where SQLite has them, until the next step
};

// A row is an int64_t, its length in bytes with this, a cell for each column, and what
// the cells refer to.
struct hotswap_cell {
	union {
		int64_t i; // or where in the row a text or a blob is
		double f;
		const void *p; // where it is if the fetch is direct
	} v;
	int32_t n; // its bytes
	int32_t type;
};

uintptr_t hotswap_cursor_of(void *db, const char *text, int n);
void hotswap_cursor_fetch(uintptr_t stmt, uintptr_t keeper, int max, int columns, void *buffer, int64_t size);
void hotswap_cursor_reread(uintptr_t stmt, int columns, void *buffer);
int hotswap_cursor_reset(uintptr_t stmt);
int hotswap_cursor_compiled(uintptr_t stmt);
int hotswap_cursor_memory(uintptr_t stmt);
int hotswap_cursor_blocking(void);
