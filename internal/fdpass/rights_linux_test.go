package fdpass

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzControlMessage parses what the kernel would never send.
func FuzzControlMessage(f *testing.F) {
	f.Add(unix.UnixRights(3))
	f.Add(unix.UnixRights(3, 4, 5))
	f.Add(append(unix.UnixRights(3), unix.UnixRights(4, 5)...))
	f.Add(binary.NativeEndian.AppendUint64(nil, 1<<40))
	f.Add(unix.UnixCredentials(&unix.Ucred{Pid: 1}))
	f.Fuzz(func(t *testing.T, control []byte) {
		if fds := parseRights(control); len(fds) > len(control)/4 {
			t.Fatalf("%d descriptors in %d bytes", len(fds), len(control))
		}
	})
}
