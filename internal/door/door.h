// The parts of SQLite's C interface that the door needs, declared rather than
// included: with -tags libsqlite3 there may be no header. The layouts are fixed
// by SQLite's compatibility promise (https://www.sqlite.org/c3ref/vfs.html,
// https://www.sqlite.org/c3ref/io_methods.html).

typedef struct sqlite3_vfs sqlite3_vfs;
typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_io_methods sqlite3_io_methods;

struct sqlite3_io_methods {
	int iVersion;
	int (*xClose)(sqlite3_file *);
	void *rest1[8]; // xRead to xCheckReservedLock
	int (*xFileControl)(sqlite3_file *, int op, void *arg);
	void *rest2[8]; // xSectorSize to xUnfetch, the last of version 3
};

struct sqlite3_file {
	const sqlite3_io_methods *pMethods;
};

struct sqlite3_vfs {
	int iVersion, szOsFile, mxPathname;
	sqlite3_vfs *pNext;
	const char *zName;
	void *pAppData;
	int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
};

#define SQLITE_OK 0
#define SQLITE_NOMEM 7
#define SQLITE_CANTOPEN 14
#define SQLITE_OPEN_READONLY 0x00000001
#define SQLITE_OPEN_CREATE 0x00000004
#define SQLITE_OPEN_MAIN_DB 0x00000100
#define SQLITE_FCNTL_HAS_MOVED 20

// Weak: this package is first linked by itself, without SQLite, which go-sqlite3
// brings. A linker flag that ignores missing symbols would also apply to the
// program that imports this, and hide what is missing there.
extern sqlite3_vfs *sqlite3_vfs_find(const char *) __attribute__((weak));
extern const char *sqlite3_uri_parameter(const char *, const char *) __attribute__((weak));
extern int sqlite3_uri_boolean(const char *, const char *, int) __attribute__((weak));

// How a file is opened, for hotswapDoorEnter.
#define HOTSWAP_SHARED 1   // with cache=shared
#define HOTSWAP_UNLOCKED 2 // with immutable or nolock
