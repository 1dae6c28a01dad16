#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"
#include "door.h"

// A guarded file has a method table of its own: its VFS's, except for
// xClose.
struct hotswap_guarded {
	sqlite3_io_methods methods; // first: the file's pMethods points to it
	const sqlite3_io_methods *real;
	int64_t token;
};

static int (*hotswap_real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

// The opener on this thread, as set by hotswap_door_set_opener.
static __thread uintptr_t hotswap_opener;

uintptr_t hotswap_door_set_opener(uintptr_t opener) {
	uintptr_t was = hotswap_opener;
	hotswap_opener = opener;
	return was;
}

static int hotswap_close(sqlite3_file *file) {
	struct hotswap_guarded *g = (struct hotswap_guarded *)file->pMethods;
	file->pMethods = g->real;
	int rc = g->real->xClose(file);
	hotswapDoorClosed(g->token);
	free(g);
	return rc;
}

static int hotswap_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *outFlags) {
	if (!(flags & SQLITE_OPEN_MAIN_DB) || name == 0)
		return hotswap_real_open(vfs, name, file, flags, outFlags);
	file->pMethods = 0; // as SQLite requires of an open that fails
	struct hotswap_guarded *g = malloc(sizeof *g);
	if (g == 0)
		return SQLITE_NOMEM;
	// With a shared cache SQLite now holds a process-wide mutex: such an open
	// is refused rather than made to wait while the path is shut. (An ATTACH that
	// inherits the shared cache can't be recognised; it does wait.)
	const char *cache = sqlite3_uri_parameter(name, "cache");
	int how = cache != 0 && strcmp(cache, "shared") == 0 ? HOTSWAP_SHARED : 0;
	if (sqlite3_uri_boolean(name, "immutable", 0) || sqlite3_uri_boolean(name, "nolock", 0))
		how |= HOTSWAP_UNLOCKED;
	for (int tries = 1;; tries++) {
		int found = 0;
		int rc = hotswapDoorEnter((char *)name, how, hotswap_opener, &g->token, &found);
		if (rc == SQLITE_OK) {
			// If the file is moved away at this moment, no empty one must take its place.
			rc = hotswap_real_open(vfs, name, file, found ? flags & ~SQLITE_OPEN_CREATE : flags, outFlags);
			if (rc != SQLITE_OK) {
				hotswapDoorClosed(g->token);
				if (found && rc == SQLITE_CANTOPEN && tries < 3)
					continue; // the next try decides whether to create one
			} else {
				int moved = 0;
				file->pMethods->xFileControl(file, SQLITE_FCNTL_HAS_MOVED, &moved);
				int readonly = ((outFlags != 0 ? *outFlags : flags) & SQLITE_OPEN_READONLY) != 0;
				rc = hotswapDoorOpened(g->token, moved, readonly);
				if (rc != SQLITE_OK) {
					file->pMethods->xClose(file);
					file->pMethods = 0;
					hotswapDoorClosed(g->token);
					if (rc < 0 && tries < 10)
						continue; // it was another file by then: try again
					if (rc < 0)
						rc = SQLITE_CANTOPEN;
				}
			}
		}
		if (rc != SQLITE_OK) {
			free(g);
			return rc;
		}
		break;
	}
	g->real = file->pMethods;
	g->methods = *g->real;
	if (g->methods.iVersion > 3)
		g->methods.iVersion = 3; // anything beyond that in the table is not copied
	g->methods.xClose = hotswap_close;
	file->pMethods = &g->methods;
	return SQLITE_OK;
}

int hotswap_door_install(void) {
	if (!sqlite3_vfs_find)
		return 0;
	sqlite3_vfs *def = sqlite3_vfs_find(0), *first = sqlite3_vfs_find("unix");
	if (first == 0)
		return 0;
	hotswap_real_open = first->xOpen;
	// unix-excl, unix-dotfile and unix-none are separate structures with the
	// same xOpen. The default one heads the list.
	int n = 0;
	for (sqlite3_vfs *v = def; v != 0; v = v->pNext) {
		if (v->xOpen == hotswap_real_open) {
			v->xOpen = hotswap_open;
			n++;
		}
	}
	return n;
}
