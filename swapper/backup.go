package swapper

import (
	"context"
	"fmt"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
)

// nameBackup renames what holds the old database to its backup name, durably.
func (p *push) nameBackup(undo string) error {
	if err := renameToBackup(undo, p.backupPath()); err != nil {
		p.report.BackupPath = undo
		return &failure{text: "swapped, but the old database could not be renamed to its backup name", cause: err,
			hint: "the old database is kept as " + undo + ", and gets its name before the next push"}
	}
	p.report.BackupPath = p.backupPath()
	if err := p.target.syncDir(); err != nil {
		return &failure{text: "swapped, but the backup's name may not survive a power loss", cause: err, kinds: []error{ErrDurabilityUnknown}}
	}
	return nil
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
	name := beside{id: o.copied.id, kind: kindCopy, a: uint64(uint32(o.cookie)), b: o.target.state.ino}.path(o.target.path)
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
