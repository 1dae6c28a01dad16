#include <string.h>

#include "look.h"

static int descriptor(sqlite3_file *file, int size) {
	if (file == 0 || file->pMethods == 0 || size < (int)sizeof(struct hotswap_unix_file))
		return -1;
	return ((struct hotswap_unix_file *)file)->h;
}

int hotswap_look(sqlite3 *db, struct hotswap_look *look) {
	if (!sqlite3_file_control || !sqlite3_txn_state)
		return 1;
	sqlite3_vfs *vfs = 0;
	sqlite3_file *main = 0, *wal = 0;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &main);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	if (rc != SQLITE_OK || vfs == 0 || vfs->zName == 0)
		return 1;
	look->transaction = sqlite3_txn_state(db, "main");
	look->unixVFS = strcmp(vfs->zName, "unix") == 0;
	if (look->unixVFS) {
		look->main = descriptor(main, vfs->szOsFile);
		look->wal = descriptor(wal, vfs->szOsFile);
	}
	return 0;
}

// The words are read one by one, in their order, as others may be writing them: of
// the two headers SQLite writes the second one first, so that who reads the first
// one first and finds them equal has a whole one (walIndexTryHdr in wal.c). Then
// comes nBackfill, and after that the caller looks again.
int hotswap_walindex(sqlite3 *db, uint32_t head[HOTSWAP_WALINDEX_HEAD / 4]) {
	sqlite3_file *file = 0;
	void volatile *page = 0;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc != SQLITE_OK || file == 0 || file->pMethods == 0 || file->pMethods->iVersion < 2 || file->pMethods->xShmMap == 0)
		return 1;
	// The transaction has it mapped already: this asks only where.
	rc = file->pMethods->xShmMap(file, 0, HOTSWAP_WALINDEX_PAGE, 0, &page);
	if (rc != SQLITE_OK || page == 0)
		return 1;
	volatile uint32_t *words = (volatile uint32_t *)page;
	for (int i = 0; i < HOTSWAP_WALINDEX_HEAD / 4; i++) {
		if (i % 12 == 0)
			__sync_synchronize();
		head[i] = words[i];
	}
	__sync_synchronize();
	return 0;
}
