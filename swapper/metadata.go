package swapper

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// adopt gives the stage what the live file has beyond its bytes: the owner,
// the mode, and every extended attribute, which ACLs and security labels are.
func (s *stage) adopt(t *target) error {
	st, ok := t.info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := s.chown(st); err != nil {
		return err
	}
	// After the owner, since chown clears the set-id bits.
	if err := s.file.Chmod(t.info.Mode().Perm()); err != nil {
		return failed("give the new file the live one's mode", err)
	}
	return s.copyXattrs(t.path)
}

func (s *stage) chown(st *syscall.Stat_t) error {
	info, err := s.file.Stat()
	if err != nil {
		return failed("look at the stage", err)
	}
	if own, ok := info.Sys().(*syscall.Stat_t); ok && own.Uid == st.Uid && own.Gid == st.Gid {
		return nil
	}
	if err := s.file.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return &failure{
			text:  fmt.Sprintf("give the new file the live one's owner %d:%d", st.Uid, st.Gid),
			cause: err,
			kinds: []error{ErrNotPermitted},
			hint:  "let the program's user own the live database, or run the program as its owner",
			// Where the file stays what it is there is nothing to give.
			inPlace: true,
		}
	}
	return nil
}

func (s *stage) copyXattrs(from string) error {
	names, err := listXattrs(from)
	if err != nil {
		return failed("list the live file's extended attributes", err)
	}
	for _, name := range names {
		value, err := getXattr(from, name)
		if err != nil {
			return failed("read the live file's attribute "+name, err)
		}
		if have, err := getXattr(s.path, name); err == nil && string(have) == string(value) {
			continue // by a default ACL, or the directory's label
		}
		if err := unix.Fsetxattr(int(s.file.Fd()), name, value, 0); err != nil {
			return failed("give the new file the attribute "+name, err)
		}
	}
	return nil
}

func listXattrs(path string) ([]string, error) {
	data, err := readSized(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	var names []string
	for len(data) > 0 {
		name := unix.ByteSliceToString(data)
		names = append(names, name)
		data = data[len(name)+1:]
	}
	return names, err
}

func getXattr(path, name string) ([]byte, error) {
	return readSized(func(buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

// readSized calls read with a buffer of the size it asks for, until that fits.
func readSized(read func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := read(nil)
		if err != nil || n == 0 {
			return nil, err
		}
		buf := make([]byte, n)
		n, err = read(buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buf[:max(n, 0)], err
	}
}
