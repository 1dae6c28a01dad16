//go:build linux

package chaos

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// diskSize is that of a node's disk: its database has some 3 MB, and it keeps two versions.
const diskSize = "size=48m"

// mount gives the node a disk of its own, if this process may: then it can be filled.
func (m *member) mount(t *testing.T) {
	dir := filepath.Dir(m.path)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, diskSize); err != nil {
		t.Logf("no disk is filled: mounting one: %v", err)
		return
	}
	m.disk = true
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func (m *member) hog() string { return filepath.Join(filepath.Dir(m.path), "hog") }

// fill takes the room of the node's disk, but for what is to be left.
func (m *member) fill(left int64) bool {
	if !m.disk {
		return false
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(m.path), &disk); err != nil {
		m.w.wrong("ask for the room of a disk: %v", err)
		return false
	}
	hog, err := os.Create(m.hog())
	if err != nil {
		return false // there is no room for a name
	}
	defer hog.Close()
	for n := int64(disk.Bavail)*disk.Bsize - left; n > 0; n /= 2 {
		if unix.Fallocate(int(hog.Fd()), 0, 0, n) == nil {
			return true
		}
	}
	return false
}

func (m *member) unfill() { os.Remove(m.hog()) }
