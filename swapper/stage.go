package swapper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hotswap/internal/disk"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/workfile"
)

// stage is a new file in the target's directory: the pushed database until it
// is renamed, or a snapshot until it is sent. It is locked while its process lives, which
// an orphan is not.
type stage struct {
	id   string // of the operation, in its files' names
	path string
	file *os.File
	size int64
	// after says how many bytes more the stage's way to the live database takes
	// per byte of its own, and beyond those.
	after, besides int64
	// passing says that the stage will not become the live file: nobody waits for its
	// bytes to be on the disk, and if it is gone soon they never get there.
	passing bool
	urgent  bool            // it may take what is to stay free
	checked bool            // its content has passed
	digest  *trailingDigest // of what was received, at work still; nil if that is known, or not wanted
	taken   attributes      // of the live file
	state   fileState       // set by push.nameUndo
	leased  bool
}

// private is the mode of a stage that gets another's before it is anything.
const private = 0o600

// createStage makes the file, of a kind, beside the database at path.
func createStage(path, kind string, mode fs.FileMode) (*stage, error) {
	s := &stage{}
	file, err := workfile.Create(func() string {
		s.id = rand.Text()[:12]
		s.path = beside{id: s.id, kind: kind}.path(path)
		return s.path
	}, mode)
	s.file = file
	switch {
	case errors.Is(err, workfile.ErrNotLocked):
		s.discard()
		return nil, failed("lock the stage", err)
	case err != nil:
		return nil, failed("create the stage", err)
	}
	if err := makeUsable(file); err != nil {
		s.discard()
		return nil, failed("make the stage readable for the program", err)
	}
	return s, nil
}

// makeUsable lets the program's user read and write the file, which is opened more than
// once: its umask may have kept even that.
func makeUsable(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Mode().Perm()&private == private {
		return err
	}
	return file.Chmod(info.Mode().Perm() | private)
}

// discard removes the stage and whatever SQLite may have put beside it.
func (s *stage) discard() {
	if s.path != "" {
		os.Remove(s.path)
		for _, suffix := range sqlitefile.Sidecars {
			os.Remove(s.path + suffix)
		}
		s.path = ""
	}
	s.close()
}

// rename gives the stage another name, of those that are recognised.
func (s *stage) rename(path string) error {
	if err := os.Rename(s.path, path); err != nil {
		return err
	}
	s.path = path
	return nil
}

// lease keeps everybody off the new file from the moment that it has the live path until
// it has been verified: whoever opens it waits in open(2). Where there are no leases it
// does without.
func (s *stage) lease() {
	s.leased = setLease(s.file) == nil
}

// release ends the lease and closes the file: whoever waits for the new one goes on.
// None of this process's connections may have it open yet: closing a descriptor drops
// their locks.
func (s *stage) release() {
	s.endLease()
	s.close()
}

func (s *stage) endLease() {
	if s.leased {
		dropLease(s.file) // a child that was just started may have a copy of the descriptor
		s.leased = false
	}
}

func (s *stage) close() {
	s.digest.stop()
	s.digest = nil
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// reserve allocates n bytes from off on, and demands that the file system
// keeps headroom for the live database, with what will be needed later.
func (s *stage) reserve(off, n int64) error {
	if err := s.room(n, n+(off+n)*s.after+s.besides); err != nil { // n may be any number that a client names
		return err
	}
	if n == 0 {
		return nil
	}
	if err := allocate(s.file, off, n); err != nil {
		return failed(fmt.Sprintf("reserve %s for the stage", printable.Size(n)), err)
	}
	return nil
}

// room demands it for the stage, as the function does; but what is urgent may have all.
func (s *stage) room(n, need int64) error {
	dir := filepath.Dir(s.path)
	if !s.urgent {
		return room(dir, n, need)
	}
	free, _, err := disk.Space(dir)
	if err != nil {
		return failed("ask for the free disk space", err)
	}
	if n > free || need > free {
		return &failure{text: fmt.Sprintf("%s has %s free; %s are needed", printable.Line(dir), printable.Size(free), printable.Size(need)),
			kinds: []error{ErrNoSpace}, hint: "make room on the disk and try again"}
	}
	return nil
}

// room demands that the file system of dir has n bytes, and need with all that comes
// after, and keeps headroom for the live database.
func room(dir string, n, need int64) error {
	free, headroom, err := disk.Space(dir)
	if err != nil {
		return failed("ask for the free disk space", err)
	}
	if n > free || free-need < headroom {
		return &failure{
			text: fmt.Sprintf("%s has %s free; %s are needed and %s must stay free for the live database",
				printable.Line(dir), printable.Size(free), printable.Size(need), printable.Size(headroom)),
			kinds: []error{ErrNoSpace},
			hint:  "make room on the disk and try again",
		}
	}
	return nil
}

const (
	copyChunk    = 1 << 20
	fileChunk    = 8 << 20 // how much of a file is copied between two looks at the context
	reserveChunk = 16 << 20
)
