package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/mattn/go-isatty"

	"hotswap/internal/openers"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/sockserver"
)

// destination is where a pull goes. A caller commits it once everything is
// there, and aborts it in any case.
type destination interface {
	io.Writer
	// commit makes the copy what DST names; it returns where the file that was
	// there before is kept.
	commit() (backupPath string, err error)
	// abort undoes what commit has not done.
	abort()
	// untouched says what is true of DST without a commit; it may be empty.
	untouched() string
}

// stream is a destination that can't be undone: standard output, a device,
// a pipe, or nowhere at all.
type stream struct {
	io.Writer
	file  *os.File // what the writer writes to
	close func() error
}

// pipeWriter abandons a write that nobody reads when ctx ends.
type pipeWriter struct {
	ctx context.Context
	io.Writer
}

func (w pipeWriter) Write(p []byte) (int, error) {
	// An abandoned write goes on, and p is the caller's.
	data := bytes.Clone(p)
	return await(w.ctx, func() (int, error) { return w.Writer.Write(data) })
}

func (s stream) commit() (string, error) { return "", s.close() }
func (s stream) abort()                  { s.close() }
func (s stream) untouched() string       { return "" }

func (c *cpCmd) openDestination(ctx context.Context, src, dst side, list []sockserver.DatabaseInfo, out *output) (destination, error) {
	keepOpen := func() error { return nil }
	switch {
	case dst.stdio() && c.DryRun:
		return nowhere{io.Discard, "would have gone to standard output"}, nil
	case dst.stdio() && isatty.IsTerminal(out.out.Fd()):
		return nil, usagef("standard output is a terminal, and a database is not text").
			withHint("redirect it: `hotswap cp SRC - > copy.sqlite3`, or name a file")
	case dst.stdio():
		if err := refuseManagedFile(dst.arg, out.out, list); err != nil {
			return nil, err
		}
		return stream{pipeWriter{ctx, out.out}, out.out, keepOpen}, nil
	}
	if fd, is := ownDescriptor(dst.path); is {
		return c.intoDescriptor(ctx, dst, fd, list)
	}
	info, err := os.Stat(dst.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.newFile(dst, src, nil)
	case err != nil:
		f := fileFailure(fmt.Errorf("examine the destination: %w", err))
		if errors.Is(err, syscall.ENOTDIR) {
			f.hint = "a part of the name is a file, and not a directory: name a file"
		}
		return nil, f
	case info.IsDir():
		return nil, failf(exitFailed, "%s is a directory and can't be replaced by a file", dst.arg)
	case info.Mode().IsRegular():
		return c.newFile(dst, src, info)
	case info.Mode()&fs.ModeSocket != 0:
		return nil, failf(exitFailed, "%s is a socket, and nothing can be copied into it", dst.arg).withHint("name a file, or - for standard output")
	case c.DryRun:
		return nowhere{io.Discard, "would have been written to " + printable.Line(dst.arg)}, nil
	}
	if info.Mode()&fs.ModeNamedPipe != 0 {
		out.still.waits("nobody reads from %s yet", printable.Line(dst.arg))
		defer out.still.waits("")
	}
	device, err := await(ctx, func() (*os.File, error) { return os.OpenFile(dst.path, os.O_WRONLY, 0) })
	if err != nil {
		return nil, fileFailure(fmt.Errorf("open the destination: %w", err))
	}
	return stream{pipeWriter{ctx, device}, device, device.Close}, nil
}

// intoDescriptor writes into what the caller has opened, as into standard output,
// whatever that is: to replace it by its name is not what was asked for.
func (c *cpCmd) intoDescriptor(ctx context.Context, dst side, fd int, list []sockserver.DatabaseInfo) (destination, error) {
	file, err := openDescriptor(dst.arg, fd)
	if err != nil {
		return nil, err
	}
	if err := refuseManagedFile(dst.arg, file, list); err != nil {
		file.Close()
		return nil, err
	}
	if c.DryRun {
		file.Close()
		return nowhere{io.Discard, "would have been written to " + printable.Line(dst.arg)}, nil
	}
	return stream{pipeWriter{ctx, file}, file, file.Close}, nil
}

// refuseManagedFile refuses to write a copy into what the shell has opened if that is a
// database of the program's, or belongs to one: it would be written beneath its connections.
func refuseManagedFile(arg string, opened *os.File, list []sockserver.DatabaseInfo) error {
	info, err := opened.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	for _, db := range list {
		for _, suffix := range append([]string{""}, sqlitefile.Sidecars[:]...) {
			if own, err := os.Stat(db.Path + suffix); err == nil && os.SameFile(own, info) {
				return usagef("%s is open on %s, which belongs to a managed database", arg, printable.Line(db.Path+suffix)).
					withHint("choose another file; to replace a managed database, name it: `hotswap cp SRC %s`", printable.Line(db.Path))
			}
		}
	}
	// The program may have others, which this socket does not serve.
	if by, locked := openers.Locked(opened); locked {
		return usagef("%s is open on a database that %s has open", arg, by).withHint("choose another file")
	}
	return nil
}

// nowhere is the destination of a dry run.
type nowhere struct {
	io.Writer
	would string // what would have become of the copy
}

func (nowhere) commit() (string, error) { return "", nil }
func (nowhere) abort()                  {}
func (nowhere) untouched() string       { return "nothing was written: it is a dry run" }
