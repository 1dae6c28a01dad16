package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"hotswap/sockserver"
)

// pull writes a snapshot of a managed database to a file or to standard output.
func (c *cpCmd) pull(ctx context.Context, src, dst side, list []sockserver.DatabaseInfo, out *output) error {
	client := src.program.client
	dest, err := c.openDestination(ctx, src, dst, list, out)
	if err != nil {
		return err
	}
	defer dest.abort()
	older := olderCopy(src, dst)
	defer older.Close()
	id := sockserver.NewID()
	out.id = id
	lines := follow(ctx, client, id, out)
	defer lines.close()
	report, err := client.Snapshot(ctx, src.path, out.counting(dest), sockserver.SnapshotParams{
		ID: id, Dest: dst.arg, Digest: c.JSON, Tag: out.printsTag(),
		Check: c.Check, Quick: c.Quick, SkipConstraintCheck: c.SkipConstraintCheck,
		Base: older, Whole: c.Whole,
		Begin: func(size int64) {
			out.current.reached(0, size)
			if out.live != nil {
				out.live.showTransfer("receiving", out.current.bar, true)
			}
		},
	})
	if err == nil || ctx.Err() == nil {
		lines.wait(settleTimeout)
	}
	out.close()
	older.Close() // or another command would not replace the file
	if err != nil {
		return pullFailure(err, lines, dst, dest)
	}
	if report.BackupPath, err = dest.commit(); err != nil {
		return err
	}
	report.DryRun = c.DryRun
	lines.close()
	if dry, ok := dest.(nowhere); ok { // the program does not know that it is one
		out.say("dry run complete: nothing was written; a copy of %d bytes %s", report.Bytes, dry.would)
	} else if out.pulled != "" {
		out.say("%s", out.pulled)
	}
	return out.done(report)
}

// olderCopy opens the file that a copy from another machine replaces; nil if there is
// none. Most of it may be as it is there.
func olderCopy(src, dst side) *os.File {
	if !src.program.far() || !dst.replaceable() {
		return nil
	}
	file, err := os.Open(dst.path)
	if err != nil {
		return nil // none, or it may not be read
	}
	return file
}

// counting is where to write to: a destination's file itself, where there is one, since
// its descriptor can go to the server; else, and if the server does not take it, the bar
// counts on the way.
func (o *output) counting(dest destination) io.Writer {
	switch dest := dest.(type) {
	case *fileDestination:
		return dest.File
	case stream:
		return countedStream{io.MultiWriter(dest, o.current), dest.file}
	}
	return io.MultiWriter(dest, o.current)
}

// countedStream is a stream whose file, if it is one that can be passed, is filled by the
// server.
type countedStream struct {
	io.Writer
	file *os.File
}

// Descriptor is for package sockserver.
func (s countedStream) Descriptor() *os.File { return s.file }

// pullFailure adds the server's reason for breaking off, which has no place in
// a body that has begun, and what became of the destination.
func pullFailure(err error, lines *follower, dst side, dest destination) error {
	lines.close()
	if errors.Is(err, sockserver.ErrIncomplete) && lines.last != nil && lines.last.Problem != nil {
		err = lines.last.Problem
	}
	code := exitCode(err)
	if _, isProblem := errors.AsType[*sockserver.Problem](err); !isProblem && !errors.Is(err, errInterrupted) {
		err = fmt.Errorf("copy to %s: %w", dst.arg, err)
	}
	return &failure{code: code, err: err, note: dest.untouched()}
}
