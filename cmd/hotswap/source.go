package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"hotswap/internal/fdpass"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
)

// source is what a push sends.
type source struct {
	io.Reader
	name string      // for people
	mode fs.FileMode // of the file that it is read from
	size int64       // 0: not known
	// file, if set, is all of it, and stays as it is until Close, or is a pipe: it need
	// not be read here, and its descriptor can go to the server.
	file *os.File
	// again, if set, is what is read, and can be read twice.
	again *os.File
	// check, if set, runs at the end: an error says that what was read is torn.
	check   func() error
	closers []func() // run in reverse
}

func (s *source) Close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF && s.check != nil {
		if torn := s.check(); torn != nil {
			return n, torn
		}
	}
	if _, ours := errors.AsType[*failure](err); err != nil && err != io.EOF && !ours {
		err = fileFailure(fmt.Errorf("read %s: %w", s.name, err))
	}
	return n, err
}

// openSource opens SRC with the client's own rights, in its working directory.
//
// A database file is read under a lock of SQLite's, so that a program that
// writes it can't tear the copy; one with a -wal or a journal is read through
// SQLite, since the file alone is not the database.
func openSource(ctx context.Context, src side, out *output) (*source, error) {
	if src.stdio() {
		return stdinSource(out)
	}
	if info, err := os.Stat(src.path); err == nil && !src.inherited() { // opening it would say less, or wait
		if err := refuseKind(src.arg, info.Mode()); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(src.path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		out.still.waits("nobody writes to %s yet", printable.Line(src.arg))
		defer out.still.waits("")
	}
	file, err := await(ctx, src.open)
	if ours, is := errors.AsType[*failure](err); is {
		return nil, ours
	}
	if err != nil {
		f := fileFailure(fmt.Errorf("open the source: %w", err))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			f.hint = "check the name, which is relative to the current directory"
			if strings.HasSuffix(src.path, "~") {
				f.hint += "; a push or a pull keeps what it replaces under that name with --backup only"
			}
		}
		return nil, f
	}
	// Whatever SQLite has open of it is closed first: closing a descriptor of
	// the file drops the locks that SQLite holds on it in this process.
	s := &source{Reader: file, name: src.arg, closers: []func(){func() { file.Close() }}}
	if err := s.openFile(ctx, file, out); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// inherited reports whether a side is a descriptor that the command was started with.
func (s side) inherited() bool {
	_, is := ownDescriptor(s.path)
	return is
}

// open opens SRC. A descriptor that the command was started with is opened anew, so that
// what is read is all of a file; a socket can't be.
func (s side) open() (*os.File, error) {
	fd, is := ownDescriptor(s.path)
	if !is {
		return os.Open(s.path)
	}
	inherited, err := openDescriptor(s.arg, fd)
	if err != nil {
		return nil, err
	}
	info, err := inherited.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return inherited, nil
	}
	defer inherited.Close()
	return os.Open(s.path)
}

func (s *source) openFile(ctx context.Context, file *os.File, out *output) error {
	info, err := file.Stat()
	if err != nil {
		return fileFailure(err)
	}
	s.mode = info.Mode()
	switch {
	case info.IsDir():
		return refuseKind(s.name, info.Mode())
	case !info.Mode().IsRegular(): // a pipe or a device: a stream, like standard input
		return refuseTerminal(s.name, file)
	}
	s.again = file
	header := make([]byte, sqlitefile.HeaderSize)
	n, err := file.ReadAt(header, 0)
	if err != nil && err != io.EOF {
		return fileFailure(fmt.Errorf("read %s: %w", s.name, err))
	}
	sidecar, err := pendingSidecar(file.Name())
	nameless := errors.Is(err, errNameless)
	if err != nil && !nameless {
		return fileFailure(err)
	}
	switch {
	case sidecar != "":
		return s.readThroughSQLite(ctx, file, sidecar, out)
	case info.Size() == 0:
		return emptySource(s.name, info.Mode())
	case !sqlitefile.HasMagic(header[:n]):
		s.size = info.Size()
		return nil // the server says what is wrong with it
	case nameless:
		s.size = info.Size()
		return nil // nor has it a -wal; and SQLite, which goes by names, can't lock it
	default:
		return s.readLocked(ctx, file, sqlitefile.Decode(header).Versions.WAL(), out)
	}
}

// pendingSidecar returns the suffix of a sidecar that has content which the
// database file at path may lack, or "".
func pendingSidecar(path string) (string, error) {
	// SQLite has them beside the file itself, not beside a link to it.
	real, err := realName(path)
	if err != nil {
		return "", err
	}
	return sqlitefile.Pending(real)
}

// stdinSource reads standard input.
func stdinSource(out *output) (*source, error) {
	if err := refuseTerminal("standard input", out.in); err != nil {
		return nil, err
	}
	info, err := out.in.Stat()
	if err != nil {
		return nil, fileFailure(err)
	}
	if info.IsDir() {
		return nil, refuseKind("standard input", info.Mode())
	}
	if err := refuseUnread(out.in); err != nil {
		return nil, err
	}
	s := &source{Reader: out.in, name: "stdin", mode: info.Mode()}
	if file := fdpass.Source(out.in); file != nil && !fdpass.IsPipe(file) {
		s.size, s.file, s.again = info.Size(), file, file
	}
	return s, nil
}

// refuseUnread refuses a file from its beginning that has more beside it: it comes as a
// stream only if this command may not open it, and then it can't be read through SQLite.
func refuseUnread(stdin *os.File) error {
	if at, err := stdin.Seek(0, io.SeekCurrent); err != nil || at != 0 {
		return nil
	}
	if sidecar, err := pendingSidecar(stdinPath); err == nil && sidecar != "" {
		return failf(exitNotAllowed, "standard input is a file that has a %s, and may not be opened, so that what is in that would be left out", sidecar).
			withHint("run the command as a user who may read the file, or have it made whole: sqlite3 FILE \"VACUUM INTO 'whole.sqlite3'\"")
	}
	return nil
}

// waitForData waits for the first bytes of a stream, so that a slow source
// does not keep the server waiting, and an empty one never reaches it.
func (s *source) waitForData(ctx context.Context, out *output) error {
	if s.size > 0 {
		return nil
	}
	out.still.waits("nothing has come from %s yet", printable.Line(s.name))
	defer out.still.waits("")
	if pipe := fdpass.Source(s.Reader); pipe != nil && fdpass.IsPipe(pipe) {
		err := fdpass.Await(ctx, pipe)
		switch {
		case errors.Is(err, errInterrupted):
			return &failure{code: exitFailed, err: err, note: "nothing was sent"}
		case err == io.EOF:
			return emptySource(s.name, s.mode)
		case err == nil:
			s.file = pipe
			return nil
		}
	}
	first, err := await(ctx, func() ([]byte, error) {
		buffer := make([]byte, 32<<10)
		n, err := s.Reader.Read(buffer)
		for n == 0 && err == nil {
			n, err = s.Reader.Read(buffer)
		}
		return buffer[:n], err
	})
	switch {
	case errors.Is(err, errInterrupted):
		return &failure{code: exitFailed, err: err, note: "nothing was sent"}
	case err == io.EOF && len(first) == 0:
		return emptySource(s.name, s.mode)
	}
	s.Reader = &primed{first: first, err: err, rest: s.Reader}
	return nil
}

// await does what can't be interrupted, such as opening a named pipe that nobody
// writes; if ctx ends first, the call is abandoned.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// primed is a reader whose first Read has been done.
type primed struct {
	first []byte
	err   error // of that Read
	rest  io.Reader
}

func (p *primed) Read(into []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(into, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.rest.Read(into)
}
