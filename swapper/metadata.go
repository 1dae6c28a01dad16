package swapper

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"hotswap/internal/unix"
)

// attributes are what a file has beyond its bytes: the owner, the mode, and every
// extended attribute, which ACLs and security labels are.
type attributes struct {
	uid, gid uint32
	perm     fs.FileMode
	xattrs   map[string]string
}

func (a attributes) equal(b attributes) bool {
	return a.uid == b.uid && a.gid == b.gid && a.perm == b.perm && maps.Equal(a.xattrs, b.xattrs)
}

// attributesOf reads those of the file at path, of which state was taken.
func attributesOf(path string, state fileState) (attributes, error) {
	a := attributes{uid: state.uid, gid: state.gid, perm: state.mode.Perm()}
	names, err := listXattrs(path)
	if err != nil {
		return a, failed("list the live file's extended attributes", err)
	}
	for _, name := range names {
		value, err := getXattr(path, name)
		if err != nil {
			return a, failed("read the live file's attribute "+name, err)
		}
		if a.xattrs == nil {
			a.xattrs = map[string]string{}
		}
		a.xattrs[name] = string(value)
	}
	return a, nil
}

// takeAttributes gives the stage the live file's attributes as they are now.
func (s *stage) takeAttributes(t *target) error {
	state, err := t.still()
	if err != nil {
		return err
	}
	a, err := attributesOf(t.path, state)
	if err != nil {
		return err
	}
	return s.take(a)
}

// take gives the stage the attributes.
func (s *stage) take(a attributes) error {
	return s.takeAs(s.path, a)
}

// takeAs is take of a stage whose path is another one by now.
func (s *stage) takeAs(path string, a attributes) error {
	own, err := lookThrough(s.file)
	if err != nil {
		return failed("inspect the stage", err)
	}
	if own.uid != a.uid || own.gid != a.gid {
		if err := s.file.Chown(int(a.uid), int(a.gid)); err != nil {
			hint := "let the program's user own the live database, run the program as its owner, or push in place (--method=in-place)"
			if own.uid == a.uid {
				hint = fmt.Sprintf("give the live database a group that the program's user is in, add that user to group %d, or push in place (--method=in-place)", a.gid)
			}
			return &failure{
				text:  fmt.Sprintf("give the new file the live one's owner %d:%d", a.uid, a.gid),
				cause: err,
				kinds: []error{ErrNotPermitted},
				hint:  hint,
				// Where the file stays what it is there is nothing to give.
				inPlace: true,
			}
		}
	}
	// After the owner, since chown clears the set-id bits.
	if err := s.file.Chmod(a.perm); err != nil {
		return failed("give the new file the live one's mode", err)
	}
	if err := s.takeXattrs(path, a.xattrs); err != nil {
		return err
	}
	s.taken = a
	return nil
}

func (s *stage) takeXattrs(path string, xattrs map[string]string) error {
	for name := range s.taken.xattrs {
		if _, ok := xattrs[name]; !ok {
			if err := unix.Fremovexattr(int(s.file.Fd()), name); err != nil && !errors.Is(err, unix.ENOATTR) {
				return failed("remove the attribute "+name+" from the new file", err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		if have, err := getXattr(path, name); err == nil && string(have) == xattrs[name] {
			continue // by a default ACL, or the directory's label
		}
		if err := unix.Fsetxattr(int(s.file.Fd()), name, []byte(xattrs[name]), 0); err != nil {
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
		if name != recordAttr { // of what was a backup
			names = append(names, name)
		}
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
