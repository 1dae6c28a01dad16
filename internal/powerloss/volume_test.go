//go:build linux && amd64

package powerloss

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// fileSystem is a sort of file system.
type fileSystem struct {
	name    string
	size    int64 // bytes
	mkfs    []string
	options string
}

var fileSystems = []fileSystem{
	// Without noauto_da_alloc a rename over a file writes the new one's data,
	// which would hide that the stage was not synced.
	{"ext4", 32 << 20, []string{"mkfs.ext4", "-q"}, "noauto_da_alloc"},
	{"xfs", 300 << 20, []string{"mkfs.xfs", "-q"}, ""}, // the least that it takes
}

// image is a file system's bytes, as far as they are not zero.
type image struct {
	fs     fileSystem
	pieces map[int64][]byte // by offset
}

const piece = 64 << 10

// makeImage makes a file system and has fill put files into it.
func makeImage(t testing.TB, fs fileSystem, fill func(dir string) error) *image {
	t.Helper()
	v := attach(t, &image{fs: fs})
	defer v.close()
	out, err := exec.Command(fs.mkfs[0], append(fs.mkfs[1:], v.device)...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		testenv.Skip(t, "%v: install e2fsprogs and xfsprogs", err)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", fs.mkfs[0], err, out)
	}
	dir := t.TempDir()
	if err := v.mount(dir); errors.Is(err, unix.ENODEV) {
		testenv.Skip(t, "the kernel has no %s", fs.name)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fill(dir), v.unmount(dir)); err != nil {
		t.Fatal(err)
	}
	return v.read(t)
}

// volume is an image on a loop device. Its bytes are in memory and nowhere
// else, and the device goes when the process does.
type volume struct {
	fs     fileSystem
	memory *os.File
	loop   *os.File
	device string
}

func attach(t testing.TB, i *image) *volume {
	t.Helper()
	fd, err := unix.MemfdCreate("hotswap-"+i.fs.name, unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	v := &volume{fs: i.fs, memory: os.NewFile(uintptr(fd), "image")}
	if err := v.memory.Truncate(i.fs.size); err != nil {
		t.Fatal(err)
	}
	for off, data := range i.pieces {
		if _, err := v.memory.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.configure(); err != nil {
		testenv.Skip(t, "no loop device to be had: %v", err)
	}
	return v
}

// configure finds a free loop device. Between the question and the answer's use
// another process may take it.
func (v *volume) configure() error {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	for range 100 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return err
		}
		v.device = fmt.Sprintf("/dev/loop%d", n)
		if v.loop, err = os.OpenFile(v.device, os.O_RDWR, 0); err != nil {
			return err
		}
		config := unix.LoopConfig{Fd: uint32(v.memory.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if err = unix.IoctlLoopConfigure(int(v.loop.Fd()), &config); err == nil {
			return nil
		}
		v.loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return unix.EBUSY
}

func (v *volume) close() {
	v.loop.Close()
	v.memory.Close()
}

func (v *volume) mount(dir string) error {
	if err := unix.Mount(v.device, dir, v.fs.name, 0, v.fs.options); err != nil {
		return fmt.Errorf("mount %s: %w", v.fs.name, err)
	}
	return nil
}

func (v *volume) unmount(dir string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := unix.Unmount(dir, 0)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond) // a descriptor is just being closed
	}
}

// read takes the volume's image; nothing may be mounted.
func (v *volume) read(t testing.TB) *image {
	t.Helper()
	if err := v.loop.Sync(); err != nil {
		t.Fatal(err)
	}
	i := &image{fs: v.fs, pieces: map[int64][]byte{}}
	var zeros [piece]byte
	for off := int64(0); off < v.fs.size; off += piece {
		data := make([]byte, piece)
		if _, err := v.memory.ReadAt(data, off); err != nil {
			t.Fatal(err)
		}
		if [piece]byte(data) != zeros {
			i.pieces[off] = data
		}
	}
	return i
}

// logFate is what becomes of a file system's log when it is shut down. In all
// cases what was not synced of the files' data is lost.
type logFate string

const (
	logLost    logFate = "log lost"    // it stays as it is on the disk
	logFlushed logFate = "log flushed" // it is written: what was done to directories is kept
	// As logLost, but at one call of chance before, all that was done until then
	// was written. So the system does every few seconds.
	logEarlier logFate = "log of earlier"
)

var logFates = []logFate{logLost, logFlushed, logEarlier}

// shutDown makes an end of the file system that dir is on: no write reaches its
// disk any more. The ioctl was XFS's at first, and has its letter on ext4, too.
func shutDown(dir string, f logFate) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	const goingDown = 2<<30 | 4<<16 | 'X'<<8 | 125 // _IOR('X', 125, __u32)
	flag := 2                                      // XFS_FSOP_GOING_FLAGS_NOLOGFLUSH
	if f == logFlushed {
		flag = 1 // XFS_FSOP_GOING_FLAGS_LOGFLUSH
	}
	if err := unix.IoctlSetPointerInt(int(d.Fd()), goingDown, flag); err != nil {
		return fmt.Errorf("shut the file system down: %w", err)
	}
	return nil
}

// writeAll has the file system that dir is on write everything.
func writeAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
