#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "look.h"

// What is done here is done in one call from Go, since writes wait for it while reads
// go on: in a program whose processors are busy, the way back into Go after each sync
// takes longer than the sync.

static int file_of(sqlite3 *db, sqlite3_file **file) {
	*file = 0;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, file);
	return rc == SQLITE_OK && *file && (*file)->pMethods && (*file)->pMethods->xSync ? 0 : -1;
}

static int sync_file(sqlite3_file *file) { return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL); }

static int sync_descriptor(int fd) {
	int rc;
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? 0 : errno;
}

// read_events reads all that there are, behind those that there were.
static int read_events(struct hotswap_events *e) {
	for (;;) {
		int n = read(e->fd, e->buffer + e->all, e->room - e->all);
		if (n > 0)
			e->all += n;
		else if (n == 0 || errno != EINTR)
			return n < 0 && errno == EAGAIN ? 0 : -1; // -1: perhaps no more room
	}
}

static int64_t microseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// may_try_again waits a moment for those who read what is being moved, or for another
// who moves it, unless that has taken long enough since it was first asked: what the disk
// took before is no part of it. end is 0 then.
static int may_try_again(int64_t *end, int patience_us) {
	int64_t now = microseconds();
	if (!*end)
		*end = now + patience_us;
	if (now >= *end)
		return 0;
	usleep(200);
	return 1;
}

static int is_busy(int rc) { return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED; }

// hotswap_empty_log returns SQLite's error, or an errno of the log's sync, -1 for an
// error of another kind, or 0; step is how far it came.
int hotswap_empty_log(sqlite3 *db, int log, int patience_us, struct hotswap_events *events, enum hotswap_step *step) {
	*step = HOTSWAP_MOVE;
	sqlite3_file *file;
	if (!sqlite3_file_control || !sqlite3_wal_checkpoint_v2 || file_of(db, &file) != 0)
		return -1;
	int64_t end = 0;
	int frames = -1, moved = -1, rc;
	for (;;) {
		rc = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
		if (rc == SQLITE_OK && frames < 0)
			return -1; // there is no log any more
		if (rc == SQLITE_OK && frames == moved)
			break;
		if (rc != SQLITE_OK && !is_busy(rc))
			return rc;
		if (!may_try_again(&end, patience_us)) {
			*step = HOTSWAP_UNMOVED;
			return 0;
		}
	}
	*step = HOTSWAP_SYNC_FILE;
	if ((rc = sync_file(file)) != SQLITE_OK)
		return rc;
	*step = HOTSWAP_READ_EVENTS;
	if (read_events(events) != 0)
		return -1;
	events->before = events->all;
	end = 0;
	do {
		*step = HOTSWAP_EMPTY;
		rc = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_TRUNCATE, &frames, &moved);
		if (rc != SQLITE_OK && !is_busy(rc))
			return rc;
	} while (rc != SQLITE_OK && may_try_again(&end, patience_us));
	*step = HOTSWAP_READ_EVENTS;
	if (read_events(events) != 0)
		return -1;
	if (rc != SQLITE_OK) {
		*step = HOTSWAP_UNEMPTIED;
		return 0;
	}
	*step = HOTSWAP_SYNC_LOG;
	if ((rc = sync_descriptor(log)) == 0)
		*step = HOTSWAP_DONE;
	return rc;
}

// hotswap_end_journal returns as hotswap_empty_log does, with the directory for a log.
int hotswap_end_journal(sqlite3 *db, int directory, enum hotswap_step *step) {
	*step = HOTSWAP_MOVE;
	sqlite3_file *file;
	if (!sqlite3_file_control || file_of(db, &file) != 0)
		return -1;
	*step = HOTSWAP_SYNC_FILE;
	int rc = sync_file(file);
	if (rc != SQLITE_OK)
		return rc;
	*step = HOTSWAP_SYNC_DIRECTORY;
	if ((rc = sync_descriptor(directory)) == 0)
		*step = HOTSWAP_DONE;
	return rc;
}
