// What of SQLite's C interface a look needs, declared here rather than included:
// with -tags libsqlite3 there may be no header. The layouts are fixed by SQLite's
// promise of compatibility (https://www.sqlite.org/c3ref/io_methods.html).

#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_vfs sqlite3_vfs;
typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_io_methods sqlite3_io_methods;

struct sqlite3_io_methods {
	int iVersion;
	void *rest1[4]; // xClose to xTruncate
	int (*xSync)(sqlite3_file *, int flags);
	void *rest2[7]; // xFileSize to xDeviceCharacteristics, the last of version 1
	int (*xShmMap)(sqlite3_file *, int region, int size, int extend, void volatile **);
};

struct sqlite3_file {
	const sqlite3_io_methods *pMethods;
};

struct sqlite3_vfs {
	int iVersion, szOsFile, mxPathname;
	sqlite3_vfs *pNext;
	const char *zName;
};

#define SQLITE_OK 0
#define SQLITE_BUSY 5
#define SQLITE_LOCKED 6
#define SQLITE_SYNC_NORMAL 2
#define SQLITE_CHECKPOINT_PASSIVE 0
#define SQLITE_CHECKPOINT_TRUNCATE 3
#define SQLITE_FCNTL_FILE_POINTER 7
#define SQLITE_FCNTL_VFS_POINTER 27
#define SQLITE_FCNTL_JOURNAL_POINTER 28

// Weak: this package is linked by itself first, without SQLite, which go-sqlite3
// brings.
extern int sqlite3_file_control(sqlite3 *, const char *, int, void *) __attribute__((weak));
extern int sqlite3_txn_state(sqlite3 *, const char *) __attribute__((weak));
extern int sqlite3_wal_checkpoint_v2(sqlite3 *, const char *, int mode, int *frames, int *moved) __attribute__((weak));

// How a file of the "unix" VFSes begins (unixFile in os_unix.c). That is no promise:
// whoever uses h makes sure that it is the descriptor of the file that is meant.
struct hotswap_unix_file {
	const sqlite3_io_methods *pMethod;
	void *pVfs, *pInode;
	int h;
};

#define HOTSWAP_WALINDEX_PAGE 32768 // what SQLite maps of the wal-index at a time
#define HOTSWAP_WALINDEX_HEAD 104   // two headers of 48 bytes, nBackfill, and 4 more

// What a look found; a descriptor is -1 if it is not to be had.
struct hotswap_look {
	int transaction; // as of sqlite3_txn_state
	int main, wal;   // descriptors
	int unixVFS;
};

int hotswap_look(sqlite3 *, struct hotswap_look *);
int hotswap_walindex(sqlite3 *, uint32_t head[HOTSWAP_WALINDEX_HEAD / 4]);

// The steps of hotswap_empty_log and hotswap_end_journal.
enum hotswap_step {
	HOTSWAP_MOVE,
	HOTSWAP_SYNC_FILE,
	HOTSWAP_READ_EVENTS,
	HOTSWAP_EMPTY,
	HOTSWAP_SYNC_LOG,
	HOTSWAP_SYNC_DIRECTORY,
	HOTSWAP_DONE,
	HOTSWAP_UNMOVED,   // somebody reads what is to be moved
	HOTSWAP_UNEMPTIED, // somebody reads what has been moved
};

// What is read from a descriptor of inotify(7) while a log is emptied.
struct hotswap_events {
	int fd, room;
	char *buffer;
	int before, all; // bytes until the log was about to be emptied, and until it was
};

int hotswap_empty_log(sqlite3 *, int log, int patience_us, struct hotswap_events *, enum hotswap_step *);
int hotswap_end_journal(sqlite3 *, int directory, enum hotswap_step *);
