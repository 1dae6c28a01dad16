package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/backups"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// A push over a file that was removed has more to be careful about than one over a file that
// is there: no connection that is closed can open it again. So whoever else has it open is
// found, and peers have closed it, before the first of the program's own is closed; and from
// then on the push is carried through, or what the file held is put back.

// removed is what a push finds of a live file that was removed or moved away.
type removed struct {
	file     fileid.ID // fileid.None if it was not
	open     bool      // connections of the program have it open
	kept     *stage    // the copy that becomes the backup
	closed   bool      // they have it no longer: this push has closed them
	held     *os.File  // the file, as long as the push may have to put it back; nil if that can't be
	restored bool      // it is at the path again, as a file of its own
}

// findRemoved looks whether there was a live file, which others may still use.
func (p *push) findRemoved() error {
	p.removed.file, p.removed.open = inside.Of(p.db).Missing()
	if p.removed.file == fileid.None {
		return nil
	}
	if p.removed.open && leasesExist {
		if doubt := leaseDoubt(p.target.dir); doubt == "" {
			p.wantLease = true
		} else {
			p.events.warn("replacing a removed file: "+doubt, nil)
		}
	}
	if err := p.mayLeaveRemoved(); err != nil {
		return err
	}
	return p.nobodyElsewhere()
}

// removedInode is what other processes know the removed file by.
func (p *push) removedInode() openers.Inode {
	return openers.Inode{Dev: p.removed.file.Dev, Ino: p.removed.file.Ino}
}

// keepsRemoved reports whether what the removed file holds is to become the backup.
func (p *push) keepsRemoved() bool { return p.opts.Backup && p.removed.file != fileid.None }

// mayLeaveRemoved refuses to close the program's connections to a removed file if something
// else in the program would keep it open, or if there is nothing left to make a backup of.
func (p *push) mayLeaveRemoved() error {
	strangers := inside.Of(p.db).Outsiders()
	why, hint := "it would keep using it", "have the program close it"
	if p.opts.Backup {
		if !p.removed.open {
			f := errNoneOpen(removedText)
			f.text += ", and there is nothing to make a backup of"
			f.kinds, f.hint = []error{ErrTarget}, "move it back, or push without --backup"
			return f
		}
		strangers = inside.Of(p.db).Strangers()
		why, hint = "it could write to it after the backup was made", "have the program detach or close it, or pull first, and push without --backup"
	}
	if strangers > 0 {
		return &failure{text: removedText + ", and a connection of the program that is not the database's own has it open: " + why,
			kinds: []error{ErrTarget}, hint: hint}
	}
	return nil
}

// errRemovedElsewhere is the error that says who else has the removed file open.
func errRemovedElsewhere(who string) error {
	return &failure{text: removedText + ", and is open in " + who + ": that would keep using it, and what it writes would be in no file",
		kinds: []error{ErrBusy}, hint: "end the other process and try again"}
}

// unopened refuses while peers have the removed file open and the program itself has not:
// then only they can tell what it holds, and swap it.
func (p *push) unopened() error {
	peers := p.db.Peers()
	if len(peers) == 0 {
		return nil
	}
	return &failure{text: removedText + ", and is open only in " + peers[0].String(), kinds: []error{ErrBusy},
		hint: "push through that process, or end it and try again"}
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
		return servedFailed(ctx, p.db.Path(), "read the schema of what the program serves", err)
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
		if err := p.mayLeaveRemoved(); err != nil {
			return err
		}
		cookie, err := queryInt(c, "PRAGMA main.schema_version")
		if err != nil {
			return err
		}
		s, err := copyServed(ctx, p.target.path, kindStage, c, p.events)
		if err != nil {
			return servedFailed(ctx, p.db.Path(), "copy what the program serves to its backup", err)
		}
		p.removed.kept = s
		if err := s.file.Sync(); err != nil {
			return failed("fsync the backup", err)
		}
		kind := kindCopy
		if p.backupAs() == backups.Numbered {
			kind = kindNCopy
		}
		name := beside{id: s.id, kind: kind, a: uint64(uint32(cookie)), b: p.removed.file.Ino}.path(p.target.path)
		if err := s.rename(name); err != nil {
			return failed("rename the backup", err)
		}
		if err := p.target.syncDir(); err != nil {
			return failed("make the backup's name durable", err)
		}
		return nil
	})
}

// holdRemoved comes once no other process uses the removed file, as far as that is to be
// seen, and before the program's own connections to it are closed.
func (p *push) holdRemoved() error {
	if err := p.mayLeaveRemoved(); err != nil {
		return err
	}
	if others := openers.Elsewhere(p.removedInode()); len(others) > 0 {
		return errRemovedElsewhere(joinProcesses(others))
	}
	held, err := openers.Reopen(p.removedInode())
	if err != nil {
		return failed("open the removed file through a connection's descriptor", err)
	}
	p.removed.held, p.removed.closed = held, true
	return nil
}

// removedAlone proves that nobody has the removed file open any longer.
func (p *push) removedAlone() error {
	if p.removed.held == nil || !p.wantLease {
		return nil
	}
	err := p.untilAlone(p.removedInode(), func() error { return setLease(p.removed.held) })
	var f *failure
	if err != nil && !errors.As(err, &f) { // another user's file, for one
		p.events.warn("the kernel can't be asked who else has the removed file open: "+err.Error(), nil)
		return nil
	}
	return err
}

// restoreRemoved puts what the removed file held at its path again if the push comes to
// nothing: the program's connections to it are closed, and it must have something to serve.
func (p *push) restoreRemoved() error {
	if !p.removed.closed || !p.gone() {
		return nil
	}
	s := p.removed.kept
	if s == nil {
		if p.removed.held == nil {
			return nil
		}
		var err error
		if s, err = p.copyHeld(); err != nil {
			return failed("copy the removed file", err)
		}
		defer s.discard()
	}
	if p.removed.held != nil {
		if old, err := lookThrough(p.removed.held); err == nil {
			s.file.Chown(int(old.uid), int(old.gid)) // as far as the program may
			s.file.Chmod(old.mode.Perm())
		}
	}
	if err := placeFree(s.path, p.target.path); err != nil {
		return failed("put what the removed file held at its path", err)
	}
	s.path, p.removed.kept, p.removed.restored = "", nil, true
	s.close() // before a connection opens it
	p.events.warn("the push came to nothing after the connections to the removed file were closed: what that held is at the path again, and the program goes on with it", nil)
	if err := p.target.syncDir(); err != nil {
		return failed("make the restored file durable", err)
	}
	return nil
}

// copyHeld copies the removed file, which its last connection has left whole.
func (p *push) copyHeld() (*stage, error) {
	s, err := createStage(p.target.path, kindStage, private)
	if err != nil {
		return nil, err
	}
	if _, err = p.removed.held.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(s.file, p.removed.held)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

// releaseRemoved ends the hold of a file that no connection has open any longer.
func (p *push) releaseRemoved() {
	if p.removed.held != nil {
		p.removed.held.Close()
		p.removed.held = nil
	}
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
	p.report.BackupPath = path
	named, err := renameToBackup(path, p.db.Path(), p.backupAs())
	if err != nil {
		return failed("rename the backup", err)
	}
	p.report.BackupPath = named
	return p.target.syncDir()
}

// stateOfRemoved says what a failed push has left of the file that was removed.
func (p *push) stateOfRemoved() string {
	switch _, err := os.Lstat(p.db.Path()); {
	case p.removed.restored:
		return "what the removed file held is at the path again, as a new file, and the program goes on with that"
	case err == nil:
		return "another file is at the path by now"
	case p.report.BackupPath != "":
		return fmt.Sprintf("what the removed file held is kept as %s, and the program's connections are closed: push that", p.report.BackupPath)
	case p.report.Connections > 0:
		return "the program's connections to the removed file are closed: what it held is gone, unless it was moved or has another name"
	case p.removed.open:
		if hot, err := hotJournal(p.db.Path() + sqlitefile.Sidecars[0]); err == nil && !hot { // see heldUpByJournal
			return "the live database is unchanged: the program still has the removed file open"
		}
		return "the live database is unchanged: the program goes on with the removed file"
	}
	return "the push changed nothing"
}
