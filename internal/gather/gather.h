// What of SQLite's C interface is needed, declared rather than included: with -tags
// libsqlite3 there may be no header. The layouts are fixed by SQLite's promise of
// compatibility (https://www.sqlite.org/c3ref/io_methods.html).

typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_io_methods sqlite3_io_methods;
typedef long long sqlite3_int64;

struct sqlite3_io_methods { // of version 1
	int iVersion;
	int (*xClose)(sqlite3_file *);
	int (*xRead)(sqlite3_file *, void *, int n, sqlite3_int64 at);
	int (*xWrite)(sqlite3_file *, const void *, int n, sqlite3_int64 at);
	int (*xTruncate)(sqlite3_file *, sqlite3_int64 size);
	int (*xSync)(sqlite3_file *, int flags);
	int (*xFileSize)(sqlite3_file *, sqlite3_int64 *size);
	void *rest1[3]; // xLock to xCheckReservedLock
	int (*xFileControl)(sqlite3_file *, int op, void *arg);
	void *rest2[2]; // xSectorSize, xDeviceCharacteristics
};

struct sqlite3_file {
	const sqlite3_io_methods *pMethods;
};

#define SQLITE_OK 0
#define SQLITE_NOMEM 7
#define SQLITE_IOERR_SHORT_READ 522
#define SQLITE_FCNTL_JOURNAL_POINTER 28

// Weak: this package is linked by itself first, without SQLite, which go-sqlite3
// brings.
extern int sqlite3_file_control(void *, const char *, int, void *) __attribute__((weak));

int hotswap_gather(void *db);
