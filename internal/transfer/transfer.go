// Package transfer has what the source of a push and the destination of a pull may
// offer package swapper beyond io.Reader and io.Writer. Package sockserver's do; a
// program's own need not.
package transfer

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// A DigestedSource computes the SHA-256 of what is read from it, so that a push does
// not compute it a second time.
type DigestedSource interface {
	io.Reader
	// Digest asks for the digest. It is called before the first Read, or not at all
	// if the push has no use for it.
	Digest()
	// SHA256 returns the digest of what was read. It is nil, from the first Read on,
	// if the source computes none.
	SHA256() []byte
}

// A FileSource is a file, and copies itself into the stage of a push: the kernel does
// that faster than bytes pass through the program, and on some file systems without
// copying at all. Its Read is never called.
type FileSource interface {
	io.Reader
	// Size returns the file's length in bytes.
	Size() int64
	// CloneTo makes the empty dst share the file's blocks. It returns false if they
	// can't be shared, with dst as it was.
	CloneTo(ctx context.Context, dst *os.File) (bool, error)
	// CopyTo copies n bytes at offset off to the same offset of dst, fewer only where
	// the file ends.
	CopyTo(ctx context.Context, dst *os.File, off, n int64) (int64, error)
	// Unchanged returns an error that wraps ErrSourceChanged if the file was written
	// to since its Size was asked for.
	Unchanged(ctx context.Context) error
}

// ErrSourceChanged: the file was written to while it was copied, so the copy may be of
// several of its states.
var ErrSourceChanged = errors.New("the source changed while it was copied")

// ErrNotOpened: a file of the program's own could not be opened once more, to be copied
// from or to.
var ErrNotOpened = errors.New("open the program's own file again")

// A FileDest is a file, and fills itself from the snapshot's file. Its Write is never
// called.
type FileDest interface {
	io.Writer
	// WantsDigest reports whether the pull is to compute the snapshot's SHA-256.
	WantsDigest() bool
	// Beside reports whether the file is in the file system of the one that info is of.
	Beside(info os.FileInfo) bool
	// CloneFrom makes the destination share src's blocks. It returns false if they
	// can't be shared, with the destination as it was.
	CloneFrom(ctx context.Context, src syscall.Conn) (bool, error)
	// CopyFrom copies n bytes at offset off of src to the same offset, fewer only
	// where src ends.
	CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (int64, error)
	// Patch writes pieces, in their order. If it fails, it may be at it still.
	Patch(ctx context.Context, pieces []Piece) error
	// Truncate ends the file after size bytes, or lengthens it with zeros.
	Truncate(ctx context.Context, size int64) error
}

// A PipeSource is the end of a pipe, and what comes from it moves into the stage of a
// push within the kernel. Its Read is never called.
type PipeSource interface {
	io.Reader
	// MoveTo moves up to n bytes to dst, at offset off. It waits until there are some;
	// that there are none says that the pipe has ended.
	MoveTo(ctx context.Context, dst *os.File, off, n int64) (int64, error)
}

// A PipeDest is the end of a pipe, and the snapshot's file moves into it within the
// kernel. Its Write is never called.
type PipeDest interface {
	io.Writer
	// WantsDigest reports whether the pull is to compute the snapshot's SHA-256.
	WantsDigest() bool
	// MoveFrom moves up to n bytes of src, from offset off on. It waits until the pipe
	// takes some; none are moved only where src ends. Nobody may write to src from then
	// on: its pages are in the pipe.
	MoveFrom(ctx context.Context, src *os.File, off, n int64) (int64, error)
}

// A Holder is a destination that keeps the snapshot where the pull has put it, in a file
// beside the database. Its Write is never called.
type Holder interface {
	io.Writer
	Hold(Held)
}

// Held is a snapshot that is kept. It never changes. Whoever holds it releases it, also
// after a push with it.
type Held interface {
	io.ReaderAt
	// Size returns its length in bytes.
	Size() int64
	// Release removes it. It may be called more than once.
	Release()
}

// A Looker is a destination that only reads the snapshot. Where that can be it reads it in the
// database itself, as a read transaction sees it, which takes no room on the disk. Its Write
// is never called.
type Looker interface {
	io.Writer
	// Look reads a database file of size bytes, for as long as it runs. Several goroutines
	// may.
	Look(ctx context.Context, file io.ReaderAt, size int64) error
}

// Urgent is a source that may take the room on the disk that is to stay free for the live
// database: a backup that is to be live again, because what is live now is not in order.
type Urgent interface{ Urgent() bool }

// A PatchSource is what differs from a held snapshot of the same database: a push writes
// that over the snapshot, which becomes its stage. Its Read is never called.
type PatchSource interface {
	io.Reader
	Base() Held
	// Begin returns the length of the result. It is called before Next.
	Begin() (size int64, err error)
	// Next returns what the result has at an offset, valid until the next call and behind
	// what the last one returned. After the last it returns io.EOF.
	Next() (off int64, data []byte, err error)
	// SHA256 returns that which the result must have. It is called after the last Next.
	SHA256() [32]byte
}

var (
	// ErrNotHeld: the snapshot that a push is to begin with was released, or the
	// database is no longer where it was.
	ErrNotHeld = errors.New("the snapshot that the push is based on is gone")
	// ErrPatched: the result of a patch is not what it must be.
	ErrPatched = errors.New("the snapshot with the patch applied is not what was sent")
)

// Piece is what a file is to have at an offset.
type Piece struct {
	Off  int64
	Data []byte
}
