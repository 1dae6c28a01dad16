package swapper

import (
	"fmt"

	"hotswap/internal/disk"
	"hotswap/internal/inside"
	"hotswap/internal/printable"
)

// fits refuses a stage that SQLite can't write over the live database, whose size it
// returns.
func (o *overwrite) fits() (pages, pageSize int64, err error) {
	if pages, err = queryInt(o.dst, "PRAGMA page_count"); err != nil {
		return 0, 0, liveBusy("read the live database", err)
	}
	if pageSize, err = queryInt(o.dst, "PRAGMA page_size"); err != nil {
		return 0, 0, liveBusy("read the live database", err)
	}
	if err := o.target.stillEmpty(pages); err != nil {
		return 0, 0, err
	}
	if pages > 0 {
		if err := o.sameSetting("PRAGMA encoding", "text encoding"); err != nil {
			return 0, 0, err
		}
		if o.push.wal {
			if err := o.sameSetting("PRAGMA page_size", "page size"); err != nil {
				return 0, 0, err
			}
		}
	}
	return pages, pageSize, nil
}

func (o *overwrite) sameSetting(pragma, what string) error {
	live, err := queryText(o.dst, pragma)
	if err != nil {
		return liveBusy("read the live database's "+what, err)
	}
	source, err := queryText(o.src, pragma)
	if err != nil {
		return failed("read the source's "+what, err)
	}
	if live == source {
		return nil
	}
	how := `sqlite3 new.sqlite3 "PRAGMA encoding = '` + live + `'" ".read dump.sql", of a .dump`
	if what == "page size" {
		how = `sqlite3 SOURCE "PRAGMA journal_mode = DELETE; PRAGMA page_size = ` + live + `; VACUUM"`
	}
	return bad(fmt.Sprintf("make the source with %s = %s (%s), or stop whatever else has the database open and push by rename (--method=rename)", pragma, live, how),
		"the source's %s is %s and the live database's is %s, which a push in place can't change", what, source, live)
}

// room demands the disk space that the copy takes beside the stage: all pages
// once more, in the WAL or the journal and the file, and the backup.
func (o *overwrite) room(pages, pageSize int64) error {
	need := o.stage.size + o.stage.size/pageSize*24 // a WAL frame's header
	if !o.push.wal {
		need = max(0, o.stage.size-pages*pageSize) + min(pages*pageSize, o.stage.size)
	}
	if o.push.opts.Backup {
		need += pages * pageSize
	}
	free, headroom, err := disk.Space(o.target.dir)
	if err != nil {
		return failed("ask for the free disk space", err)
	}
	if free-need < headroom {
		hint := "make room on the disk and try again, or stop whatever else has the database open and push by rename, which takes none of that (--method=rename)"
		if o.push.opts.Backup {
			hint = "push without --backup, or " + hint
		}
		return &failure{
			text: fmt.Sprintf("%s has %s free; a push in place takes %s more, and %s must stay free for the live database",
				printable.Line(o.target.dir), printable.Size(free), printable.Size(need), printable.Size(headroom)),
			kinds: []error{ErrNoSpace},
			hint:  hint,
		}
	}
	return o.proveRoom(need)
}

// proveRoom reserves the space for a moment, since what the file system says is free
// does not account for a quota. SQLite must not be the first to find out: where a file
// that it has mapped (-shm) is copied on write, as on btrfs, the fault would raise
// SIGBUS, which ends the program.
func (o *overwrite) proveRoom(need int64) error {
	if need <= 0 {
		return nil
	}
	s, err := createStage(o.target.path, kindStage, private)
	if err != nil {
		return err
	}
	defer s.discard()
	if err := allocate(s.file, 0, need); err != nil {
		return failed(fmt.Sprintf("reserve the %s more that a push in place takes", printable.Size(need)), err)
	}
	return nil
}

// refuseUnlocked refuses to write under connections that take no locks: they would read
// pages of the new content among those of the old. With a rollback journal the program's
// own are closed by then. In WAL mode closing them would not help: they read the file
// without the WAL, and that has the new content until no reader needs the old.
func (o *overwrite) refuseUnlocked() error {
	if !inside.Of(o.push.db).Unlocked(!o.push.wal) {
		return nil
	}
	return &failure{text: "the program has the database open with immutable=1 or nolock=1: whoever reads without locks would take a write in place for damage",
		kinds: []error{ErrBusy},
		hint:  "stop whatever else has the database open and push by rename, or open it without those parameters"}
}
