package swapper

import (
	"context"
	"errors"
	"os"

	"hotswap/driver"
	"hotswap/internal/backups"
	"hotswap/internal/disk"
	"hotswap/internal/inside"
	"hotswap/internal/livefile"
	"hotswap/internal/sqlitefile"
)

// seal makes the stage what the live file is but for its content: of its journal mode,
// owner, mode and attributes; and makes it durable. No connection may be open on it from
// here on: one would be carried over to the live path by the rename.
func (p *push) seal(ctx context.Context) error {
	p.phases.begin("sync")
	if p.target.exists {
		if p.readable {
			if err := sqlitefile.SetJournal(p.stage.file, p.wal); err != nil {
				return failed("keep the journal mode", err)
			}
		} else if mode := livefile.JournalMode(p.target.path); mode != "" {
			if err := sqlitefile.SetJournal(p.stage.file, mode == "wal"); err != nil {
				return failed("keep the journal mode", err)
			}
		}
		state, err := p.target.still()
		if err == nil {
			err = p.target.oneName(state)
		}
		if err == nil {
			err = p.stage.takeAttributes(p.target)
		}
		if err != nil {
			return err
		}
	}
	if err := p.stage.tryOpen(ctx, p.db); err != nil {
		return err
	}
	if err := p.stage.file.Sync(); err != nil {
		return failed("fsync the stage", err)
	}
	p.report.stamp = livefile.StampOf(p.stage.file)
	if err := p.stage.assertAlone(); err != nil || !p.target.exists || p.opts.DryRun {
		return err
	}
	return p.nameUndo()
}

// nameUndo gives the stage the name that the old file has after the exchange, with
// what recovery must know to tell the one from the other, durably.
func (p *push) nameUndo() error {
	own, err := lookThrough(p.stage.file)
	if err != nil {
		return failed("inspect the stage", err)
	}
	p.stage.state = own
	b := beside{id: p.stage.id, kind: kindUndo, a: own.ino, b: p.target.state.ino}
	switch p.backupAs() {
	case backups.Simple:
		b.kind = kindBackup
	case backups.Numbered:
		b.kind = kindNumber
	}
	if err := p.stage.rename(b.path(p.target.path)); err != nil {
		return failed("rename the stage", err)
	}
	took, err := p.target.timedSyncDir()
	if err != nil {
		return failed("make the stage's name durable", err)
	}
	if !disk.Slow(took) {
		p.endRest()
	}
	return nil
}

// tryOpen opens the stage as the program will open the live database, and closes it
// again, so that what SQLite or the system objects to in that file, with that owner and
// mode and a WAL beside it, shows before any call waits. It takes longer the larger the
// schema is. With the program's hooks push.rehearse has done it already.
func (s *stage) tryOpen(ctx context.Context, db *driver.Database) error {
	pool := inside.Of(db).OpenFile(s.path, false, "mode=rw")
	defer pool.Close()
	var version int
	err := pool.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version)
	if err = errors.Join(err, pool.Close()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failed("open the new database as the program will", err)
	}
	if s.taken.perm&0o200 != 0 {
		return nil
	}
	return s.removeUnused()
}

// removeUnused removes what a connection leaves that may not write the stage,
// which has the live one's mode, or that found the disk full: an empty WAL, and the index of it.
func (s *stage) removeUnused() error {
	info, err := os.Lstat(s.path + "-wal")
	if err != nil || info.Size() > 0 {
		return ignoreNotExist(err) // assertAlone tells of it
	}
	return errors.Join(ignoreNotExist(os.Remove(s.path+"-shm")), ignoreNotExist(os.Remove(s.path+"-wal")))
}
