package swapper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hotswap/internal/backups"
	"hotswap/internal/inside"
	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// inspect finds the target, removes what a killed push left beside it, and refuses what
// can be refused before the upload.
func (p *push) inspect(ctx context.Context) (err error) {
	if err := inside.Of(p.db).CheckFile(ctx); err != nil {
		return strange(p.db, err)
	}
	p.report.Target = p.db.Path() // a symlink may have been turned
	if err := checkDir(filepath.Dir(p.db.Path()), "a push puts the new file beside the live one"); err != nil {
		return err
	}
	orphans, err := RemoveOrphans(p.db.Path())
	orphans.Log(p.opts.Logger, p.db.Path())
	if err != nil {
		return failed("remove what an interrupted push left", err)
	}
	if err := p.findTarget(ctx); err != nil {
		return err
	}
	if p.target.exists {
		err = lost(p.db)
	} else {
		err = p.findRemoved()
	}
	if err != nil {
		return err
	}
	if err := p.resolveBackup(); err != nil {
		return err
	}
	switch p.backupAs() {
	case backups.Simple:
		err = checkBackupPath(backups.SimplePath(p.db.Path()))
	case backups.Numbered:
		err = checkNumberedPath(p.db.Path())
	}
	if err != nil {
		return err
	}
	if p.opts.method() == MethodRename {
		return p.nobodyElsewhere() // before the upload
	}
	return nil
}

// checkNumberedPath refuses a database whose name leaves no room for a number.
func checkNumberedPath(live string) error {
	next, err := backups.Next(live)
	if err == nil {
		_, err = os.Lstat(next)
		err = ignoreNotExist(err)
	}
	if err != nil {
		return &failure{text: "a numbered backup can't be named", cause: err, kinds: []error{ErrTarget}, hint: "push with a simple one (--backup=simple), or without"}
	}
	return nil
}

// checkBackupPath refuses what a backup can't replace without harm.
func checkBackupPath(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return &failure{text: fmt.Sprintf("%s, where the backup goes, is %s", path, sqlitefile.KindOf(info.Mode())), kinds: []error{ErrTarget},
			hint: "move it away, or push without --backup"}
	}
	if isManaged(path) {
		return &failure{text: fmt.Sprintf("%s, where the backup goes, is a database of the program's", path), kinds: []error{ErrTarget},
			hint: "push without --backup, or have the program close it"}
	}
	inode, ok := openers.InodeOf(path)
	if err != nil || !ok {
		return nil
	}
	// Whoever writes to it would go on with a file that is gone.
	if open, err := openers.Here(inode); err == nil && open {
		return &failure{text: fmt.Sprintf("the program has %s open, where the backup goes", path), kinds: []error{ErrTarget},
			hint: "push without --backup, or have the program close it"}
	}
	return checkReplaceable(path, path+", where the backup goes,")
}

// findTarget inspects the file that the program's connections have open. One that
// somebody puts there meanwhile must be adopted first, with a generation of its own: a
// push replaces no file that the program does not use.
func (p *push) findTarget(ctx context.Context) (err error) {
	for range 10 {
		generation := p.db.Generation()
		if p.target, err = inspectTarget(p.db.Path()); err != nil {
			return err
		}
		p.target.leads = inside.Of(p.db).LeadsTo
		if err := inside.Of(p.db).CheckFile(ctx); err != nil {
			return strange(p.db, err)
		}
		if p.db.Generation() == generation {
			return nil
		}
	}
	return &failure{text: "something else keeps replacing the live file", kinds: []error{ErrBusy}, hint: "find out what does, and try again"}
}

// overtaken makes the error of a push say that somebody else has put another file at the
// path, if so, whatever step failed because of that.
func (p *push) overtaken(err error) error {
	if err == nil || p.report.Swapped || p.target == nil || !p.target.exists {
		return err
	}
	if _, stillErr := p.target.still(); stillErr != nil && !errors.Is(err, errOvertaken) && stillErr.Error() != err.Error() {
		return fmt.Errorf("%w (%w)", stillErr, err)
	}
	return err
}
