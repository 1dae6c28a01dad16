// A file whose writes are gathered: see gather.go.
#include <stdlib.h>
#include <string.h>

#include "gather.h"

// os_unix.c writes less than 128 KiB at a time.
#define ROOM (120 << 10)

struct gathered {
	sqlite3_io_methods methods; // first: the file's pMethods points to it
	const sqlite3_io_methods *real;
	sqlite3_int64 at; // where in the file the bytes go
	int n;            // how many there are
	char bytes[ROOM];
};

static struct gathered *of(sqlite3_file *file) { return (struct gathered *)file->pMethods; }

// write_out writes what is gathered. If it fails, that stays as it is.
static int write_out(sqlite3_file *file) {
	struct gathered *g = of(file);
	int rc = g->n == 0 ? SQLITE_OK : g->real->xWrite(file, g->bytes, g->n, g->at);
	if (rc == SQLITE_OK)
		g->n = 0;
	return rc;
}

static int gathered_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at) {
	struct gathered *g = of(file);
	sqlite3_int64 end = g->at + g->n;
	if (g->n > 0 && at >= g->at && at + n <= end) {
		memcpy(g->bytes + (at - g->at), bytes, (size_t)n);
		return SQLITE_OK;
	}
	if (at != end || g->n + n > ROOM) {
		int rc = write_out(file);
		if (rc != SQLITE_OK)
			return rc;
		if (n > ROOM)
			return g->real->xWrite(file, bytes, n, at);
		g->at = at;
	}
	memcpy(g->bytes + g->n, bytes, (size_t)n);
	g->n += n;
	return SQLITE_OK;
}

static int gathered_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at) {
	struct gathered *g = of(file);
	if (g->n > 0 && at >= g->at && at + n <= g->at + g->n) {
		memcpy(bytes, g->bytes + (at - g->at), (size_t)n);
		return SQLITE_OK;
	}
	int apart = at + n <= g->at || at >= g->at + g->n;
	int rc = apart ? SQLITE_OK : write_out(file);
	return rc == SQLITE_OK ? g->real->xRead(file, bytes, n, at) : rc;
}

static int gathered_truncate(sqlite3_file *file, sqlite3_int64 size) {
	struct gathered *g = of(file);
	if (size <= g->at)
		g->n = 0;
	int rc = write_out(file);
	return rc == SQLITE_OK ? g->real->xTruncate(file, size) : rc;
}

static int gathered_sync(sqlite3_file *file, int flags) {
	int rc = write_out(file);
	return rc == SQLITE_OK ? of(file)->real->xSync(file, flags) : rc;
}

static int gathered_size(sqlite3_file *file, sqlite3_int64 *size) {
	struct gathered *g = of(file);
	int rc = g->real->xFileSize(file, size);
	if (rc == SQLITE_OK && g->n > 0 && *size < g->at + g->n)
		*size = g->at + g->n;
	return rc;
}

static int gathered_close(sqlite3_file *file) {
	int rc = write_out(file);
	struct gathered *g = of(file);
	file->pMethods = g->real;
	int closed = g->real->xClose(file);
	free(g);
	return rc != SQLITE_OK ? rc : closed;
}

int hotswap_gather(void *db) {
	sqlite3_file *file = 0;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
	if (rc != SQLITE_OK)
		return rc;
	// One in memory has no xFileControl.
	if (file == 0 || file->pMethods == 0 || file->pMethods->xFileControl == 0 || file->pMethods->xWrite == gathered_write)
		return SQLITE_OK;
	struct gathered *g = malloc(sizeof *g);
	if (g == 0)
		return SQLITE_NOMEM;
	g->real = file->pMethods;
	g->at = g->n = 0;
	memset(&g->methods, 0, sizeof g->methods);
	g->methods = *g->real;
	g->methods.iVersion = 1; // a log or a journal is neither shared nor mapped
	g->methods.xClose = gathered_close;
	g->methods.xRead = gathered_read;
	g->methods.xWrite = gathered_write;
	g->methods.xTruncate = gathered_truncate;
	g->methods.xSync = gathered_sync;
	g->methods.xFileSize = gathered_size;
	file->pMethods = &g->methods;
	return SQLITE_OK;
}
