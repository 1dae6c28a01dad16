package disk

/*
#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int hotswap_fsync(int fd, int64_t *took) {
	int64_t began = now();
	int rc;
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	*took = now() - began;
	return rc == 0 ? 0 : errno;
}
*/
import "C"

import (
	"os"
	"syscall"
	"time"
)

// Sync is f.Sync, and tells how long the disk took. That is measured beneath Go's
// scheduler, which in a busy program may take longer than the disk to have the caller
// go on.
func Sync(f *os.File) (took time.Duration, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var ns C.int64_t
	var errno C.int
	if err := raw.Control(func(fd uintptr) { errno = C.hotswap_fsync(C.int(fd), &ns) }); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.Errno(errno)}
	}
	return time.Duration(ns), nil
}
