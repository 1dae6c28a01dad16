//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"hotswap/driver"
	"hotswap/internal/snapshot"
	"hotswap/internal/statetag"
	"hotswap/swapper"
)

// scenario is an operation to sweep, and what it is done to.
type scenario struct {
	name    string
	journal string // the live database's journal mode
	missing bool   // there is no live database yet
	pull    bool   // the operation takes a copy, and changes nothing
	pages   int    // of the pushed database, if it is one of the smallest
	backup  bool   // the replaced database is to be kept
	number  bool   // as a numbered backup
	slow    bool   // the disk is taken for a slow one, whatever it is; else for a fast one
	do      func(*victim) (swapper.Report, error)
	passes  passes // what is passed before; nil if nothing is
	broken  bool   // the operation is wrong on purpose
	watched bool   // somebody reads what there was before the program's writes, which can't be moved out of the WAL so
	// leave lays out what a killed push of the database at path has left, which is
	// live: the operation is the recovery.
	leave func(f *fixture, path string) error
	aside bool // with a file that is not the push's own
	// removed: somebody has removed the live file before, which the program has open.
	removed bool
	// adopts: the operation is the move to a file that somebody has put there.
	adopts bool
}

var scenarios = []scenario{
	{name: "rename-WAL", journal: "WAL", do: push(rename)},
	{name: "rename-WAL-backup", slow: true, journal: "WAL", backup: true, do: push(renameWithBackup)},
	{name: "rename-DELETE", journal: "DELETE", do: push(rename)},
	{name: "rename-DELETE-backup", slow: true, journal: "DELETE", backup: true, do: push(renameWithBackup)},
	{name: "rename-WAL-numbered", journal: "WAL", backup: true, number: true, do: push(swapper.PushOptions{Method: swapper.MethodRename, BackupAs: swapper.BackupNumbered, Keep: 1})},
	{name: "rename-WAL-tag", journal: "WAL", do: pushTagged(rename)},
	{name: "rename-WAL-staged", journal: "WAL", backup: true, do: pushStaged(renameWithBackup)},
	{name: "in-place-DELETE-staged", journal: "DELETE", do: pushStaged(inPlace)},
	{name: "rename-missing", journal: "WAL", missing: true, do: push(rename)},
	{name: "in-place-WAL", journal: "WAL", do: push(inPlace)},
	{name: "in-place-WAL-backup", journal: "WAL", backup: true, do: push(swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true})},
	{name: "in-place-WAL-numbered", journal: "WAL", backup: true, number: true, do: push(swapper.PushOptions{Method: swapper.MethodInPlace, BackupAs: swapper.BackupNumbered})},
	{name: "in-place-WAL-tag", journal: "WAL", do: pushTagged(inPlace)},
	{name: "in-place-DELETE", journal: "DELETE", do: push(inPlace)},
	{name: "in-place-DELETE-backup", journal: "DELETE", backup: true, do: push(swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true})},
	{name: "in-place-WAL-one-page", journal: "WAL", pages: 1, backup: true, do: push(inPlaceSmall)},
	{name: "in-place-WAL-two-pages", journal: "WAL", pages: 2, backup: true, do: push(inPlaceSmall)},
	{name: "in-place-DELETE-one-page", journal: "DELETE", pages: 1, backup: true, do: push(inPlaceSmall)},
	{name: "in-place-DELETE-two-pages", journal: "DELETE", pages: 2, backup: true, do: push(inPlaceSmall)},
	{name: "recover-rename", journal: "WAL", backup: true, aside: true, leave: leaveOfRename, do: recovery},
	{name: "recover-in-place", journal: "WAL", backup: true, leave: leaveOfInPlace, do: recovery},
	{name: "pull-WAL", journal: "WAL", pull: true, do: pull},
	{name: "pull-DELETE", journal: "DELETE", pull: true, do: pull},
	{name: "pull-WAL-file", journal: "WAL", pull: true, do: pullToFile},
	{name: "pull-DELETE-file", journal: "DELETE", pull: true, do: pullToFile},
	{name: "patch-WAL", journal: "WAL", do: pushPatch(rename)},
	{name: "patch-in-place-WAL", journal: "WAL", do: pushPatch(inPlace)},
	{name: "passed-file", journal: "WAL", passes: theImage, do: pushPassed},
	{name: "passed-pipe", journal: "WAL", passes: fullPipe, do: pushPassed},
	{name: "pull-passed-pipe", journal: "WAL", pull: true, passes: emptyPipe, do: pullPassed},
}

// adoptions are swept by kills and errors, but not by moves: each is one.
var adoptions = []scenario{
	{name: "adopt-WAL", journal: "WAL", adopts: true, do: adoption},
	{name: "adopt-DELETE", journal: "DELETE", adopts: true, do: adoption},
}

// removals are swept by kills alone: what a program does that goes on without its file is
// in no file afterwards.
var removals = []scenario{
	{name: "removed-WAL-backup", journal: "WAL", backup: true, removed: true, do: push(renameWithBackup)},
	{name: "removed-DELETE-backup", journal: "DELETE", backup: true, removed: true, do: push(renameWithBackup)},
}

var (
	rename           = swapper.PushOptions{Method: swapper.MethodRename}
	renameWithBackup = swapper.PushOptions{Method: swapper.MethodRename, Backup: true}
	inPlace          = swapper.PushOptions{Method: swapper.MethodInPlace}
	inPlaceSmall     = swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true, SkipSchemaCheck: true}
)

// scenarioOf finds a scenario by the name that a victim was given.
func scenarioOf(name string) scenario {
	for _, s := range slices.Concat(scenarios, adoptions, removals, read, []scenario{careful}) {
		if s.name == name {
			return s
		}
	}
	for _, b := range broken {
		if b.name == name {
			b.journal, b.scenario.broken = "WAL", true
			return b.scenario
		}
	}
	panic("no scenario " + name)
}

// lockTimeout is how long a victim's push waits for locks: nobody has any, but
// a descriptor that an injected fault left open.
const lockTimeout = 2 * time.Second

func push(opts swapper.PushOptions) func(*victim) (swapper.Report, error) {
	opts.Source, opts.Timeout = "image", lockTimeout
	return func(v *victim) (swapper.Report, error) {
		return swapper.Push(context.Background(), v.db, bytes.NewReader(v.image), opts)
	}
}

// pushStaged pushes in two halves.
func pushStaged(opts swapper.PushOptions) func(*victim) (swapper.Report, error) {
	opts.Source, opts.Timeout = "image", lockTimeout
	return func(v *victim) (swapper.Report, error) {
		staged, report, err := swapper.Stage(context.Background(), v.db, bytes.NewReader(v.image), opts)
		if err != nil {
			return report, err
		}
		defer staged.Discard()
		return staged.Swap(context.Background())
	}
}

// pushTagged pushes over what is there, and nothing else: what that is, a push is told that
// takes it for something else.
func pushTagged(opts swapper.PushOptions) func(*victim) (swapper.Report, error) {
	return func(v *victim) (swapper.Report, error) {
		wrong := opts
		wrong.IfMatch = strings.Repeat("0", statetag.Length)
		refused, err := push(wrong)(v)
		if !errors.Is(err, swapper.ErrChanged) {
			return refused, err
		}
		right := opts
		right.IfMatch = refused.Tag
		return push(right)(v)
	}
}

func pull(v *victim) (swapper.Report, error) {
	return swapper.Pull(context.Background(), v.db, &v.pulled, swapper.PullOptions{Dest: "memory"})
}

// pullToFile has the copy put into a file, as a client's descriptor is filled.
func pullToFile(v *victim) (swapper.Report, error) {
	f, err := os.OpenFile(v.pulledPath(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return swapper.Report{}, &swapper.Error{Op: "pull from", Path: v.path, Err: fmt.Errorf("create the destination: %w", err)}
	}
	report, err := swapper.Pull(context.Background(), v.db, filled{snapshot.File(f)}, swapper.PullOptions{Dest: "file"})
	f.Close()
	return report, err
}

// filled is a file of the victim's as a destination.
type filled struct{ snapshot.Dest }

func (filled) WantsDigest() bool           { return false }
func (filled) Beside(os.FileInfo) bool     { return true }
func (filled) Write(p []byte) (int, error) { return 0, errors.ErrUnsupported }

// The databases of a run. notes is the table that a victim writes to after its
// operation, to prove that the program goes on; it is in no digest.
const (
	schemaSQL = `CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler BLOB);
		CREATE INDEX items_stamp ON items (stamp, id);
		CREATE TABLE acks (seq INTEGER PRIMARY KEY, text TEXT);
		CREATE TABLE notes (text TEXT)`
	fillSQL = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO items SELECT i, ?, zeroblob(300) FROM n`
	ackSQL   = `INSERT INTO acks SELECT ?, 'acknowledged'`
	touchSQL = `UPDATE items SET filler = zeroblob(301) WHERE id = ?` // pages that the file has, too
	ackCount = 8
)

// smallSQL makes databases of one page and of two, in which a program finds its
// items, and no acks.
var smallSQL = map[int]string{
	1: "CREATE VIEW items AS SELECT 1 AS id, 'new' AS stamp, NULL AS filler; CREATE VIEW acks AS SELECT 1 AS seq, '' AS text WHERE false",
	2: "CREATE TABLE items AS SELECT 1 AS id, 'new' AS stamp, NULL AS filler; CREATE VIEW acks AS SELECT 1 AS seq, '' AS text WHERE false",
}

// makeSmallDatabase writes a database of so many pages.
func makeSmallDatabase(path string, pages int) error {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(smallSQL[pages]); err != nil {
		return err
	}
	var got int
	if err := db.QueryRow("PRAGMA page_count").Scan(&got); err != nil || got != pages {
		return fmt.Errorf("a small database of %d pages: %w", got, err)
	}
	return db.Close()
}

// makeDatabase writes a database whose items all say stamp.
func makeDatabase(path, stamp string, items int) error {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(schemaSQL); err != nil {
		return err
	}
	if _, err := db.Exec(fillSQL, items, stamp); err != nil {
		return err
	}
	return db.Close()
}

// execer is a pool or one of its connections.
type execer interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

// acknowledge does the share of one of several connections of the writes that a
// victim does before its operation.
func acknowledge(db execer, share, of int) error {
	for seq := share; seq < ackCount; seq += of {
		if _, err := db.ExecContext(context.Background(), ackSQL, seq); err != nil {
			return err
		}
		if _, err := db.ExecContext(context.Background(), touchSQL, 10*seq+1); err != nil {
			return err
		}
	}
	return nil
}

// openPool opens the pool of a program whose database is at path.
func openPool(path, journal string) (*sql.DB, *driver.Database, error) {
	pool, err := sql.Open(driver.Name, "file:"+path+"?_txlock=immediate&_journal="+journal)
	if err != nil {
		return nil, nil, err
	}
	db, _ := driver.Lookup(path)
	return pool, db, nil
}
