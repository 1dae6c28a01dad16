package swapper

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// leasesExist: where the lease is to be had at all.
const leasesExist = true

// setLease takes a write lease on f, which is then the only open description of
// its file: https://man7.org/linux/man-pages/man2/F_SETLEASE.2const.html.
func setLease(f *os.File) error {
	// The kernel tells the holder by a signal that somebody waits for the file.
	// Go's runtime sends itself this one all the time, so no program can mind
	// one more; SIGIO, the default, might be somebody's.
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETSIG, int(unix.SIGURG)); err != nil {
		return fmt.Errorf("set the lease's signal: %w", err)
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) {
		return errLeaseRefused
	}
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	return nil
}

// leaseHeld reports whether f has its lease, and nobody waits for the end of that.
func leaseHeld(f *os.File) bool {
	kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
	return err == nil && kind == unix.F_WRLCK
}

// leaseBreakTime is how long the kernel lets somebody wait for a file until it ends the
// lease on that.
var leaseBreakTime = sync.OnceValue(func() time.Duration {
	text, err := os.ReadFile("/proc/sys/fs/lease-break-time")
	seconds, atoiErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || atoiErr != nil {
		return 0 // whatever it is, it was shorter than what has passed
	}
	return time.Duration(seconds) * time.Second
})

func dropLease(f *os.File) { unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) }

// fence locks the bytes of SQLite's PENDING, RESERVED and SHARED locks
// (https://www.sqlite.org/src/doc/trunk/src/os.h), with a lock that belongs to
// the descriptor and not to the process.
func fence(f *os.File) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 0x40000000, Len: 512})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errFenceRefused
	}
	if err != nil {
		return failed("lock the live file", err)
	}
	return nil
}

// localFileSystems are those whose files only this kernel opens, so that it knows
// everybody who has one open. Of others (FUSE, network file systems, a host's directory
// in a virtual machine) it does not.
var localFileSystems = []int64{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
	unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.REISERFS_SUPER_MAGIC,
	0x2fc12fc1, // ZFS
	0xca451a4e, // bcachefs
	0x3153464a, // JFS
}

// leaseDoubt says why a lease on a file in dir would prove nothing; "" if it
// would.
func leaseDoubt(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "the file system's type can't be determined: " + err.Error()
	}
	kind := int64(st.Type) & 0xffffffff
	if slices.Contains(localFileSystems, kind) {
		return ""
	}
	name := fmt.Sprintf("of type %#x", kind)
	switch kind {
	case unix.FUSE_SUPER_MAGIC:
		name = "FUSE"
	case unix.NFS_SUPER_MAGIC:
		name = "NFS"
	}
	return "the file system is " + name + ", which can't tell who else has the file open"
}
