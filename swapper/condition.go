package swapper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dirwatch"
	"hotswap/internal/fileid"
	"hotswap/internal/printable"
	"hotswap/internal/snapshot"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/statetag"
)

// condition is PushOptions.IfMatch: the push is made only if the live database has the
// content that the tag names.
//
// The content is read with calls flowing, for as long as that takes, and must be the same
// still when the new one goes live. Two things prove that: all of the content was in the
// one file then, and nothing of it in the WAL alone; and the file has been watched since
// before it was read, by all its names. Whatever is committed after that, by whichever process, is written
// into this file before the swap: with a rollback journal by the commit, and in WAL mode by
// a checkpoint, which for a rename is that of the closing connections at the latest. In
// place the WAL is looked at, under the write lock. So where the file was not written, the
// content is the same. Where it was, it may be the same nevertheless (a checkpoint, the
// recovery of a journal): then it is read again, with calls flowing.
//
// The watch sees the writes of every process of this machine. It does not see those of
// another machine in a network file system, where SQLite should not be shared in the first
// place (https://www.sqlite.org/useovernet.html).
type condition struct {
	push   *push
	watch  *dirwatch.Watch
	file   string // the names of the file and of its WAL, in the directory
	log    string
	proven bool
}

// errDisturbed: the file was written to since the condition was proven, or the WAL was.
var errDisturbed = &failure{text: "the live database keeps being written to", kinds: []error{ErrBusy}, hint: "try again"}

// conditionTries is how often the content is read again since the file was written to, with
// the same content as before.
const conditionTries = 10

// newCondition begins the watch. It returns nil if nothing was asked for.
func newCondition(p *push) (*condition, error) {
	if p.opts.IfMatch == "" {
		return nil, nil
	}
	if !statetag.Valid(p.opts.IfMatch) {
		return nil, &failure{text: fmt.Sprintf("IfMatch is %q, which is not a tag", p.opts.IfMatch), kinds: []error{ErrTarget},
			hint: fmt.Sprintf("a tag has %d hexadecimal digits, in lower case, as a pull reports it", statetag.Length)}
	}
	if p.removed.file != fileid.None || p.target.empty() {
		return nil, p.changed("there is no database at the path any more, or nothing in it")
	}
	c := &condition{push: p, file: filepath.Base(p.target.path)}
	c.log = c.file + "-wal"
	return c, c.begin()
}

// begin begins the watch, or begins it anew.
func (c *condition) begin() (err error) {
	c.close()
	c.proven = false
	for again := true; again && err == nil; {
		if c.watch, err = dirwatch.New(c.push.target.opened, c.file, c.log); err == nil {
			err = c.watch.Follow(c.push.target.path, c.file)
		}
		if err == nil {
			_, err = c.watch.Touched()
		}
		// Another file may have been there at that moment.
		if again = err == nil && c.watch.Made(c.file); again {
			c.close()
		}
	}
	if err != nil {
		c.close()
		return &failure{text: "whether the live database is written to can't be told", cause: err,
			hint: "on Linux, let the program's user have more watches (sysctl fs.inotify.max_user_instances); or push without a tag"}
	}
	return nil
}

func (c *condition) close() {
	if c != nil && c.watch != nil {
		c.watch.Close()
		c.watch = nil
	}
}

// prove returns nil if the live database has the content, and every later write to it
// will be seen by holds.
func (c *condition) prove(ctx context.Context) error {
	if c == nil {
		return nil
	}
	names, err := c.watch.Touched()
	if err != nil { // too much was going on in the directory
		err = c.begin()
	}
	if err != nil || c.proven && len(names) == 0 {
		return err
	}
	c.proven = false
	c.push.phases.begin("compare")
	c.push.events.plain(StepComparing)
	for try := 1; ; try++ {
		written := lastWritten(c.push.target.path)
		if _, err := shrinkWAL(ctx, c.push.db); err != nil {
			return failed("checkpoint the live database", err)
		}
		inFile, err := c.compare(ctx, written)
		if err != nil {
			return err
		}
		names, err := c.watch.Touched()
		if err != nil {
			names, err = []string{c.file}, c.begin()
		}
		if err != nil {
			return err
		}
		if inFile && !slices.Contains(names, c.file) {
			c.proven = true
			c.push.events.plain(StepCompared)
			return nil
		}
		if try == conditionTries {
			return errDisturbed
		}
		if err := sleep(ctx, time.Duration(try)*quietPause); err != nil { // for a reader that keeps the WAL from the file
			return err
		}
	}
}

// compare reads the live database's content, and reports whether all of it is in the file.
func (c *condition) compare(ctx context.Context, written time.Time) (inFile bool, err error) {
	p := c.push
	if _, err := p.target.still(); err != nil {
		return false, err
	}
	if _, err := c.watch.Touched(); err != nil { // what was written before
		if err := c.begin(); err != nil {
			return false, err
		}
	}
	reader := &pull{db: p.db, events: p.events}
	err = reader.reading(ctx, func(src *sqlite3.SQLiteConn) error {
		s, err := snapshot.Of(src, p.target.path)
		if err != nil {
			return err
		}
		inFile = s.InFile()
		p.report.Tag, err = tagOf(ctx, s)
		return err
	})
	p.report.Holders = append(p.report.Holders, reader.report.Holders...)
	switch {
	case errors.Is(err, snapshot.ErrUnable):
		return false, &failure{text: "what the live database holds can't be told", cause: err, kinds: []error{ErrTarget}, hint: "push without a tag"}
	case errors.Is(err, ErrBadDatabase): // which would be of the source
		return false, &failure{text: "what the live database holds can't be told: " + err.Error(), kinds: []error{ErrTarget},
			hint: "see what it is, and push without a tag"}
	case err != nil:
		return false, err
	case p.report.Tag != p.opts.IfMatch:
		return false, p.changed("its tag is " + p.report.Tag + ", not " + p.opts.IfMatch + "; " + p.history(written))
	}
	return inFile, nil
}

// holds returns errDisturbed unless nothing was written since prove. Nobody may be able to
// write any longer: either nobody has the database open, and its WAL is empty; or dst has
// the write lock.
func (c *condition) holds(dst *sqlite3.SQLiteConn) error {
	if c == nil {
		return nil
	}
	names, err := c.watch.Touched()
	if err != nil {
		c.proven = false
		return errDisturbed // prove begins a watch anew
	}
	inFile := dst != nil || sqlitefile.PendingSize(c.push.target.path) == 0
	if dst != nil && c.push.wal {
		if inFile, err = snapshot.AllInFile(dst); err != nil {
			return failed("read the live database's wal-index", err)
		}
	}
	if !inFile || slices.Contains(names, c.file) {
		c.proven = false
		return errDisturbed
	}
	return nil
}

// changed is the error of a condition that is not met.
func (p *push) changed(how string) error {
	return &failure{text: "the live database has changed: " + how, kinds: []error{ErrChanged},
		hint: "pull it again, make the change in that copy, and push it with that copy's tag"}
}

// history says how the live database came to be what it is.
func (p *push) history(written time.Time) string {
	stats := p.db.Stats()
	text := fmt.Sprintf("it is in generation %d", stats.Generation)
	if !stats.LastSwap.IsZero() {
		how := "a push"
		if stats.LastExternal {
			how = "another file at its path"
		}
		text += fmt.Sprintf(", since %s by %s", stats.LastSwap.Format(time.RFC3339), how)
	}
	if !written.IsZero() {
		text += ", and was last written to at " + written.Format(time.RFC3339)
	}
	return printable.Line(text)
}

// lastWritten is when the database at path was last written to; zero if that can't be told.
func lastWritten(path string) (last time.Time) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}
