package swapper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/backups"
	"hotswap/internal/dbpath"
	"hotswap/internal/sqlitefile"
)

// backupAs is how the backup is named; backups.None if there is to be none.
func (p *push) backupAs() backups.Kind {
	switch {
	case !p.opts.Backup:
		return backups.None
	case p.opts.BackupAs == "":
		return backups.Simple
	}
	return backups.Kind(p.opts.BackupAs)
}

// resolveBackup finds out how the backup is to be named.
func (p *push) resolveBackup() (err error) {
	if p.opts.BackupAs != "" {
		p.opts.Backup = true
	}
	as := p.backupAs()
	if as != backups.None {
		if as, err = backups.Parse(string(as)); err != nil {
			return &failure{text: "BackupAs: " + err.Error(), kinds: []error{ErrTarget}}
		}
		if as, err = as.Resolve(p.db.Path()); err != nil {
			return failed("look for earlier backups", err)
		}
	}
	p.opts.Backup, p.opts.BackupAs = as != backups.None, BackupNames(as)
	if p.opts.Keep < 0 || p.opts.Keep > 0 && as != backups.Numbered {
		return &failure{text: fmt.Sprintf("Keep is %d, and there is no numbered backup", p.opts.Keep), kinds: []error{ErrTarget},
			hint: "it says how many numbered backups to keep: push with one"}
	}
	return nil
}

// nameBackup renames what holds the old database to its backup name, durably.
func (p *push) nameBackup(undo string) error {
	p.note(undo)
	path, err := renameToBackup(undo, p.db.Path(), p.backupAs())
	if err != nil {
		p.report.BackupPath = undo
		return &failure{text: "swapped, but the old database could not be renamed to its backup name", cause: err,
			hint: "the old database is kept as " + undo + ", and gets its name before the next push"}
	}
	p.report.BackupPath, p.named = path, true
	if err := p.target.syncDir(); err != nil {
		return &failure{text: "swapped, but the backup's name may not survive a power loss", cause: err, kinds: []error{ErrDurabilityUnknown}}
	}
	if p.opts.Keep > 0 {
		p.prune(p.opts.Keep)
	}
	return nil
}

// renameToBackup gives what holds the old database its backup name, and returns that. If
// the process dies in here, the name that it has says that it is to be kept, and
// RemoveOrphans does all of this again.
func renameToBackup(undo, live string, as backups.Kind) (path string, err error) {
	if as == backups.Numbered {
		return backups.Number(live, func(to string) error {
			if isManaged(to) { // its file is not there yet, or was removed
				return fs.ErrExist
			}
			err := renameFree(undo, to)
			if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
			if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
				return cmp.Or(err, fs.ErrExist)
			}
			return os.Rename(undo, to)
		})
	}
	path = backups.SimplePath(live)
	if isManaged(path) {
		return "", fmt.Errorf("%s is a database of the program's by now", path)
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is %s by now", path, sqlitefile.KindOf(info.Mode()))
	}
	// An older backup that somebody opened may have left a WAL, which would be
	// replayed into this one.
	removed, err := sqlitefile.RemoveSidecars(path)
	if err != nil {
		return "", err
	}
	if removed { // and a power loss must not bring one back beside this backup
		if err := syncPath(filepath.Dir(path)); err != nil {
			return "", err
		}
	}
	return path, os.Rename(undo, path)
}

// isManaged reports whether the program has a database at a path where a backup goes, or
// is: a pool of it may have no connection open at the moment.
func isManaged(path string) bool {
	_, ok := driver.Lookup(path)
	return ok
}

// copyOld copies the old content, which the write lock now keeps as it is, to
// become the backup.
func (o *overwrite) copyOld(ctx context.Context) (err error) {
	if !o.push.opts.Backup {
		return nil
	}
	if o.copied, err = createStage(o.target.path, kindStage, private); err != nil {
		return err
	}
	old := o.dst
	if o.push.wal {
		opened, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(o.target.path, "mode=ro"))
		if err != nil {
			return failed("open the live database", err)
		}
		old = opened.(*sqlite3.SQLiteConn)
		defer old.Close()
	}
	if err := o.copied.copyFrom(ctx, old, o.push.events); err != nil {
		return failed("copy the old database to its backup", err)
	}
	if err := o.copied.assertAlone(); err != nil {
		return err
	}
	if err := o.copied.takeAttributes(o.target); err != nil {
		if f, ok := err.(*failure); ok && f.inPlace { // which this is
			f.text = fmt.Sprintf("give the backup the live database's owner %d:%d", o.target.state.uid, o.target.state.gid)
			f.hint = strings.Replace(f.hint, "push in place (--method=in-place)", "push without --backup, after a pull", 1)
			f.inPlace = false
		}
		return err
	}
	if err := o.copied.file.Sync(); err != nil {
		return failed("fsync the backup", err)
	}
	return nil
}

// keepCopy makes recovery keep the copy if the content is overwritten, which it can
// tell by the schema cookie. It comes as late as it can: a cookie that differs may also
// be the work of a program that was started again and changed its schema first.
func (o *overwrite) keepCopy() error {
	if o.copied == nil || o.kept {
		return nil
	}
	kind := kindCopy
	if o.push.backupAs() == backups.Numbered {
		kind = kindNCopy
	}
	name := beside{id: o.copied.id, kind: kind, a: uint64(uint32(o.cookie)), b: o.target.state.ino}.path(o.target.path)
	if err := o.copied.rename(name); err != nil {
		return failed("rename the backup", err)
	}
	if err := o.target.syncDir(); err != nil {
		return failed("make the backup's name durable", err)
	}
	o.kept = true
	return nil
}

// nameCopy gives the copy of the old content its backup name.
func (o *overwrite) nameCopy() error {
	if o.copied == nil {
		return nil
	}
	undo := o.copied.path
	o.copied.path = ""
	return o.push.nameBackup(undo)
}
