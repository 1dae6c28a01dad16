package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/transfer"
)

// ErrUnable is of what can't be copied beneath SQLite, or was found not to have been:
// take the backup interface.
var ErrUnable = errors.New("the database can't be copied beneath SQLite")

func unable(why string) error { return fmt.Errorf("%w: %s", ErrUnable, why) }

// errNoTransaction is a mistake of the caller's.
var errNoTransaction = errors.New("snapshot: the connection has no read transaction open")

// Snapshot is a state of a database that can be copied, and read at the same time, as long
// as the transaction lasts.
type Snapshot struct {
	size  int64
	main  descriptor
	wal   io.ReaderAt // nil if the main file has everything
	index walIndex
	hooks hooks
}

// look is what files a connection has open.
type look struct {
	main, wal int // descriptors of the connection's own; -1 if they are not to be had
}

// hooks are for tests, which show what goes wrong without the checks.
type hooks struct {
	nap   func()          // is called between any two steps
	index func(*walIndex) // changes what was found
	chunk func() int64    // is how much is copied at a time
}

// Dest is where a copy goes: an empty file.
type Dest interface {
	// CloneFrom makes the destination share src's blocks. It returns false if they
	// can't be shared, with the destination as it was.
	CloneFrom(ctx context.Context, src syscall.Conn) (bool, error)
	// CopyFrom copies n bytes at offset off of src to the same offset, fewer only
	// where src ends.
	CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (int64, error)
	// Patch writes pieces, in their order.
	Patch(ctx context.Context, pieces []transfer.Piece) error
	// Truncate ends the file after size bytes, or lengthens it with zeros.
	Truncate(ctx context.Context, size int64) error
}

// Of returns a snapshot of the main database of c, whose file is at path, and which
// has a read transaction open: one that has read something.
func Of(c *sqlite3.SQLiteConn, path string) (*Snapshot, error) { return of(c, path, hooks{}) }

func of(c *sqlite3.SQLiteConn, path string, h hooks) (*Snapshot, error) {
	files, err := lookAt(c)
	if err != nil {
		return nil, err
	}
	if err := checkFile(files.main, path); err != nil {
		return nil, err
	}
	// Within the transaction these are of what it reads, and can't change.
	var mode string
	var pages, pageSize int64
	for query, to := range map[string]any{"PRAGMA main.journal_mode": &mode, "PRAGMA main.page_count": &pages, "PRAGMA main.page_size": &pageSize} {
		if err := queryOne(c, query, to); err != nil {
			return nil, err
		}
	}
	s := &Snapshot{main: descriptor(files.main), hooks: h}
	s.nap()
	if mode == "wal" {
		if s.index, err = readWALIndex(c); err != nil {
			return nil, err
		}
		if h.index != nil {
			h.index(&s.index)
		}
		x := s.index
		switch {
		case x.inFile():
		case x.backfill > x.mxFrame || x.pageSize != pageSize || files.wal < 0:
			return nil, unable("the wal-index is not what it must be")
		default:
			pages, s.wal = int64(x.pages), descriptor(files.wal)
		}
	}
	if pages == 0 {
		return nil, unable("it is empty")
	}
	s.size = pages * pageSize
	return s, nil
}

// Size returns the size of the copy in bytes.
func (s *Snapshot) Size() int64 { return s.size }

// chunk is how much is copied between two looks at the context.
const chunk = 8 << 20

// CopyTo copies the snapshot to dst. With an error, whatever it is, dst has no
// database. progress is told how much is copied.
func (s *Snapshot) CopyTo(ctx context.Context, dst Dest, progress func(copied int64)) error {
	cloned, err := dst.CloneFrom(ctx, s.main)
	if err != nil {
		return err
	}
	s.nap()
	for at := int64(0); !cloned && at < s.size; {
		n, err := dst.CopyFrom(ctx, s.main, at, min(s.chunk(), s.size-at))
		if err != nil {
			return err
		}
		if n == 0 {
			break // what is behind its end is in the log, or was never written
		}
		at += n
		progress(at)
		s.nap()
	}
	if s.wal != nil {
		if err := s.index.overlay(ctx, s.wal, s.patch(dst)); err != nil {
			return err
		}
	}
	if err := dst.Truncate(ctx, s.size); err != nil {
		return err
	}
	progress(s.size)
	return nil
}

// InFile reports whether the main file alone is the snapshot.
func (s *Snapshot) InFile() bool { return s.wal == nil }

// AllInFile reports whether the main file of c, in WAL mode, has all that is committed.
func AllInFile(c *sqlite3.SQLiteConn) (bool, error) {
	index, err := readWALIndex(c)
	return err == nil && index.inFile(), err
}

// Reader returns what reads the snapshot as a copy of it would have it, for any number of
// goroutines at once.
func (s *Snapshot) Reader(ctx context.Context) (io.ReaderAt, error) {
	if s.wal == nil {
		return reader{Snapshot: s}, nil
	}
	logged, err := s.index.locate(ctx, s.wal)
	return reader{s, logged}, err
}

// reader reads a snapshot.
type reader struct {
	*Snapshot
	logged map[int64]int64 // where in the log pages are, by their offsets in the database
}

func (r reader) ReadAt(p []byte, off int64) (n int, err error) {
	n = int(max(0, min(int64(len(p)), r.size-off)))
	got, err := r.main.ReadAt(p[:n], off)
	if err != nil && err != io.EOF {
		return got, err
	}
	clear(p[got:n]) // what is behind its end is in the log, or was never written
	end := off + int64(n)
	for page := off; len(r.logged) > 0 && page < end; page += r.index.pageSize {
		page -= page % r.index.pageSize
		if in, ok := r.logged[page]; ok {
			from, to := max(page, off), min(page+r.index.pageSize, end)
			if err := readWAL(r.wal, p[from-off:to-off], in+from-page); err != nil {
				return int(from - off), err
			}
		}
	}
	r.nap()
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *Snapshot) patch(dst Dest) func(context.Context, []transfer.Piece) error {
	return func(ctx context.Context, pieces []transfer.Piece) error {
		s.nap()
		return dst.Patch(ctx, pieces)
	}
}

func (s *Snapshot) chunk() int64 {
	if s.hooks.chunk != nil {
		return s.hooks.chunk()
	}
	return chunk
}

func (s *Snapshot) nap() {
	if s.hooks.nap != nil {
		s.hooks.nap()
	}
}
