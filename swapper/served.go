package swapper

import (
	"context"
	"errors"
	"fmt"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/openers"
	"hotswap/internal/snapshot"
)

// The file that the program serves may have no name any more: it was removed, or something
// that is not a database was put in its place. Then what it holds ends with the program's
// connections, and only they can read it.

const removedText = "the live file was removed or moved away"

// notServed says what is at the path instead of the file that the program serves; "" if
// that is there, or nothing ever was.
func (p *pull) notServed(ctx context.Context) (what string, err error) {
	err = inside.Of(p.db).CheckFile(ctx)
	switch {
	case errors.Is(err, driver.ErrReplaced):
		what = "the program does not use the file at the path"
		if why := p.db.Warning(); why != "" {
			what += " (" + why + ")"
		}
		return what, nil
	case err != nil:
		return "", strange(p.db, err)
	}
	if file, _ := inside.Of(p.db).Missing(); file != fileid.None {
		return removedText, nil
	}
	return "", nil
}

// snapshotServed copies what the program serves into a new stage.
func (p *pull) snapshotServed(ctx context.Context, what string) (s *stage, err error) {
	err = inside.Of(p.db).Borrow(ctx, lockPatience, reads(func(src *sqlite3.SQLiteConn) (err error) {
		p.events.amiss(StepServed, what+": the copy is of the one that the program still has open", nil)
		s, err = copyServed(ctx, p.db.Path(), kindPull, src, p.events)
		return err
	}))
	switch {
	case errors.Is(err, inside.ErrNoneOpen):
		if file, _ := inside.Of(p.db).Missing(); file == fileid.None && inside.Of(p.db).Whole() {
			return nil, errReplaced() // meanwhile
		}
		return nil, noneOpen(what)
	case err != nil:
		return nil, servedFailed(ctx, "copy what the program serves", err)
	}
	return s, nil
}

func noneOpen(what string) *failure {
	return &failure{text: what + ", and no connection of the program has the one open any longer that was there: what that held is gone, unless it was moved or has another name",
		kinds: []error{ErrNotExist}, hint: "move it back, or push another"}
}

// servedFailed is snapshotFailed, of a connection that is the program's.
func servedFailed(ctx context.Context, doing string, err error) error {
	switch {
	case errors.Is(err, inside.ErrUnread):
		return &failure{text: doing, cause: err, kinds: []error{ErrTarget}, hint: "if it can be done without, push with --skip-schema-check and without --backup"}
	case isHeld(err):
		return &failure{text: doing, cause: err, kinds: []error{ErrBusy}, hint: "try again, and keep the program running: the file ends with it"}
	}
	return snapshotFailed(ctx, doing, err)
}

// reads returns what runs fn within a read transaction of a connection that is lent.
func reads(fn func(*sqlite3.SQLiteConn) error) inside.Use {
	return func(c *sqlite3.SQLiteConn) (used bool, err error) {
		if snapshot.LacksLog(c) {
			return false, nil // and what it would find at the path is another one, or none
		}
		if _, err := c.Exec("BEGIN", nil); err != nil {
			return true, err
		}
		defer func() {
			_, endErr := c.Exec("COMMIT", nil)
			err = errors.Join(err, endErr)
		}()
		if _, err := queryInt(c, "SELECT count(*) FROM main.sqlite_schema"); err != nil {
			return true, err
		}
		return true, fn(c)
	}
}

// copyServed copies the database of src into a new stage beside path, by SQLite's backup
// API: beneath SQLite it would have to be at the path.
func copyServed(ctx context.Context, path, kind string, src *sqlite3.SQLiteConn, events *events) (*stage, error) {
	pages, err := queryInt(src, "PRAGMA main.page_count")
	if err != nil {
		return nil, err
	}
	pageSize, err := queryInt(src, "PRAGMA main.page_size")
	if err != nil {
		return nil, err
	}
	s, err := createStage(path, kind, private)
	if err != nil {
		return nil, err
	}
	if err = s.reserve(0, pages*pageSize); err == nil {
		err = s.copyFrom(ctx, src, events)
	}
	if err == nil {
		err = s.assertAlone()
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	s.size = pages * pageSize
	return s, nil
}

// findRemoved looks whether there was a live file.
func (p *push) findRemoved() error {
	p.removed.file, p.removed.open = inside.Of(p.db).Missing()
	if p.removed.file == fileid.None || !p.opts.Backup {
		return nil
	}
	return p.mayKeep()
}

// keepsRemoved reports whether what the removed file holds is to become the backup.
func (p *push) keepsRemoved() bool { return p.opts.Backup && p.removed.file != fileid.None }

// mayKeep refuses the copy of a removed file if somebody could write to that once it is
// made, or if nothing is left to copy. No process can open the file any more that has not:
// that they are not seen is as good as that they are not there.
func (p *push) mayKeep() error {
	const pullFirst = "or pull first, and push without --backup"
	if !p.removed.open {
		f := noneOpen(removedText)
		f.text += ", and there is nothing to make a backup of"
		f.kinds, f.hint = []error{ErrTarget}, "move it back, or push without --backup"
		return f
	}
	if inside.Of(p.db).Strangers() > 0 {
		return &failure{text: removedText + ", and a connection of the program that is not the database's own has it open: it could write to it after the backup was made",
			kinds: []error{ErrTarget}, hint: "have the program detach or close it, " + pullFirst}
	}
	others := openers.InTurn(func() []openers.Process {
		return openers.Elsewhere(openers.Inode{Dev: p.removed.file.Dev, Ino: p.removed.file.Ino})
	})
	if len(others) > 0 {
		return &failure{text: removedText + ", and is open in " + joinProcesses(others) + ": that could write to it after the backup was made",
			kinds: []error{ErrBusy}, hint: "end the other process and try again, " + pullFirst}
	}
	return nil
}

// compareRemoved compares the schema with that of the file that was removed.
func (p *push) compareRemoved(ctx context.Context, staged schema) error {
	defer p.wait()()
	var live schema
	err := inside.Of(p.db).Borrow(ctx, p.attempt(), reads(func(c *sqlite3.SQLiteConn) (err error) {
		live, err = schemaOf(c)
		return err
	}))
	switch {
	case errors.Is(err, inside.ErrNoneOpen):
		return nil // there is nothing left to compare with
	case err != nil:
		return servedFailed(ctx, "read the schema of what the program serves", err)
	case len(live) == 0:
		return nil
	}
	return live.compare(staged)
}

// keepRemoved copies the removed file, with all connections drained, and closed next. From
// then on the copy is all that is left of it: recovery keeps it as the backup.
func (p *push) keepRemoved(ctx context.Context) inside.Use {
	return reads(func(c *sqlite3.SQLiteConn) error {
		p.dropKept()
		if err := p.mayKeep(); err != nil {
			return err
		}
		cookie, err := queryInt(c, "PRAGMA main.schema_version")
		if err != nil {
			return err
		}
		s, err := copyServed(ctx, p.target.path, kindStage, c, p.events)
		if err != nil {
			return servedFailed(ctx, "copy what the program serves to its backup", err)
		}
		p.removed.kept = s
		if err := s.file.Sync(); err != nil {
			return failed("fsync the backup", err)
		}
		name := beside{id: s.id, kind: kindCopy, a: uint64(uint32(cookie)), b: p.removed.file.Ino}.path(p.target.path)
		if err := s.rename(name); err != nil {
			return failed("rename the backup", err)
		}
		if err := p.target.syncDir(); err != nil {
			return failed("make the backup's name durable", err)
		}
		return nil
	})
}

// dropKept removes the copy while the program still has the file open.
func (p *push) dropKept() {
	if p.removed.kept != nil {
		p.removed.kept.discard()
		p.removed.kept = nil
	}
}

// nameKept gives the copy its backup name, whether or not the push has swapped: the
// program's connections are closed.
func (p *push) nameKept() error {
	s := p.removed.kept
	if s == nil {
		return nil
	}
	p.removed.kept = nil
	path := s.path
	s.path = ""
	defer s.close()
	if p.report.Swapped {
		return p.nameBackup(path)
	}
	p.report.BackupPath = p.backupPath()
	if err := renameToBackup(path, p.backupPath()); err != nil {
		p.report.BackupPath = path
		return failed("rename the backup", err)
	}
	return p.target.syncDir()
}

// stateOfRemoved says what a failed push has left of the file that was removed.
func (p *push) stateOfRemoved() string {
	switch _, err := os.Lstat(p.db.Path()); {
	case err == nil:
		return "another file is at the path by now"
	case p.report.BackupPath != "":
		return fmt.Sprintf("what the removed file held is kept as %s, and the program's connections are closed: push that", p.report.BackupPath)
	case p.report.Connections > 0:
		return "the program's connections to the removed file are closed: what it held is gone, unless it was moved or has another name"
	case p.removed.open:
		return "the live database is unchanged: the program goes on with the removed file"
	}
	return "the push changed nothing"
}
