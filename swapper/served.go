package swapper

import (
	"context"
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/snapshot"
	"hotswap/internal/sqlitefile"
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
		return nil, errNoneOpen(what)
	case err != nil:
		return nil, servedFailed(ctx, p.db.Path(), "copy what the program serves", err)
	}
	return s, nil
}

func errNoneOpen(what string) *failure {
	return &failure{text: what + ", and no connection of the program has the one open any longer that was there: what that held is gone, unless it was moved or has another name",
		kinds: []error{ErrNotExist}, hint: "move it back, or push another"}
}

// servedFailed is snapshotFailed, of a connection that is the program's.
func servedFailed(ctx context.Context, path, doing string, err error) error {
	switch {
	case ctx.Err() == nil && heldUpByJournal(path, err):
		journal := path + sqlitefile.Sidecars[0]
		return &failure{text: doing + ": with " + journal + " beside a file that is not there SQLite does not read what the program has open, and nor can the program", cause: err, kinds: []error{ErrTarget},
			hint: "move " + journal + " away, which holds nothing (journal_mode=PERSIST keeps it), and try again"}
	case errors.Is(err, inside.ErrUnread):
		return &failure{text: doing, cause: err, kinds: []error{ErrTarget}, hint: "if it can be done without, push with --skip-schema-check and without --backup"}
	case isHeld(err):
		return &failure{text: doing, cause: err, kinds: []error{ErrBusy}, hint: "try again, and keep the program running: the file ends with it"}
	}
	return snapshotFailed(ctx, doing, err)
}

// heldUpByJournal reports whether SQLite has failed to look at a journal that is kept from one
// transaction to the next: to open it, it takes the mode of the database's file, by its name.
func heldUpByJournal(path string, err error) bool {
	se, ok := errors.AsType[sqlite3.Error](err)
	if !ok || se.Code != sqlite3.ErrIoErr {
		return false
	}
	hot, err := hotJournal(path + sqlitefile.Sidecars[0])
	return err == nil && !hot
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
		defer func() { err = errors.Join(err, endRead(c)) }()
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
		err = s.measure()
	}
	if err == nil {
		err = s.assertAlone()
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}
