package swapper

import (
	"context"
	"crypto/sha256"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// stepBytes is how much of the database one step of a backup copies. Between
// steps it can be cancelled, and tells its progress.
const stepBytes = 4 << 20

// lockPatience is how long a pull waits for another's lock.
const lockPatience = 10 * time.Second

// Pull writes a consistent snapshot of the live database to dst, while reads
// and writes go on. It first copies the snapshot to a file beside the database,
// under one read transaction, and then sends that file: a slow dst holds
// nothing up. In WAL mode writers are not blocked; with a rollback journal they
// wait while it copies, up to their busy timeout.
//
// A copy of a damaged database is as damaged, and that is not looked at unless
// opts.Check says so.
//
// The error is an *Error. Bytes that were written before an error are no
// database; a caller that sends them on must say so at the end.
func Pull(ctx context.Context, db *driver.Database, dst io.Writer, opts PullOptions) (Report, error) {
	if err := supported("pull from"); err != nil {
		return Report{}, err
	}
	defer db.Keep()()
	op := newOperation(db, opts.Logger, opts.Notify)
	defer op.end()
	op.report.Source, op.report.Target = db.Path(), opts.Dest
	op.step(StepPullStarted, fmt.Sprintf("pull started: %s to %s", printable.Line(db.Path()), printable.Line(opts.Dest)),
		map[string]any{fieldSource: db.Path(), fieldTarget: opts.Dest})
	err := op.pull(ctx, dst, opts)
	op.phase("")
	if err != nil {
		e := &Error{Op: "pull from", Path: db.Path(), Err: err, Hint: printable.Path(hintOf(err), db.Path())}
		op.failed(StepPullFailed, e, nil)
		return op.report, e
	}
	op.step(StepPullComplete, fmt.Sprintf("pull complete: %d bytes", op.report.Bytes), map[string]any{fieldBytes: op.report.Bytes})
	return op.report, nil
}

func (op *operation) pull(ctx context.Context, dst io.Writer, opts PullOptions) error {
	if err := op.db.CheckFile(ctx); err != nil {
		return strange(err)
	}
	op.report.Source = op.db.Path() // a symlink may have been turned
	if err := lost(op.db); err != nil {
		return err
	}
	path := op.db.Path()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return &failure{text: "the database does not exist yet", kinds: []error{ErrNotExist},
			hint: "it is made by the program's first use of it, or by a push"}
	}
	if err != nil {
		return failed("look at the database", err)
	}
	if err := checkDir(filepath.Dir(path), "a pull first copies the database to a file beside it"); err != nil {
		return err
	}
	op.phase("snapshot")
	s, err := createStage(path, kindPull, private)
	if err != nil {
		return err
	}
	defer s.discard()
	if err := s.reserve(0, info.Size()); err != nil {
		return err
	}
	op.step(StepSnapshot, string(StepSnapshot), nil)
	if err := op.snapshot(ctx, s); err != nil {
		return err
	}
	op.step(StepSnapshotDone, fmt.Sprintf("snapshot taken: %d bytes", s.size), map[string]any{fieldBytes: s.size})
	if opts.Check {
		op.phase("check")
		op.step(StepIntegrity, string(StepIntegrity), nil)
		what := integrity{subject: "the live database", quick: opts.Quick, skipConstraints: opts.SkipConstraintCheck}
		if err := s.checkIntegrity(ctx, op.db, what); err != nil {
			return err
		}
		op.step(StepIntegrityPassed, string(StepIntegrityPassed), nil)
	}
	op.phase("send")
	if opts.Begin != nil {
		opts.Begin(s.size)
	}
	if file, ok := dst.(transfer.FileDest); ok {
		return op.sendFile(ctx, s, file)
	}
	return op.send(ctx, s, dst)
}

// snapshot copies the database into the stage over a connection of the driver:
// it waits at the gate like any call, and a swap waits for it.
func (op *operation) snapshot(ctx context.Context, s *stage) error {
	pool := op.db.OpenPlain("mode=rw", fmt.Sprintf("_busy_timeout=%d", exclusiveLook.Milliseconds()))
	defer pool.Close()
	var conn *sql.Conn
	err := patiently(ctx, op.db, lockPatience, func(time.Duration) (err error) {
		conn, err = pool.Conn(ctx)
		return err
	})
	if err != nil {
		return snapshotFailed(ctx, "open the database", err)
	}
	defer conn.Close()
	err = driver.Raw(conn, func(src *sqlite3.SQLiteConn) error {
		if _, err := src.Exec(setBusyTimeout(lockPatience), nil); err != nil {
			return err
		}
		return op.backup(ctx, src, s)
	})
	if err != nil {
		return snapshotFailed(ctx, "take the snapshot", err)
	}
	info, err := s.file.Stat()
	if err != nil {
		return failed("look at the snapshot", err)
	}
	s.size = info.Size()
	return s.assertAlone()
}

// snapshotFailed sorts an error of reading the live database, which may be
// locked, or damaged.
func snapshotFailed(ctx context.Context, doing string, err error) error {
	if ctx.Err() == nil && busyElsewhere(err) {
		return liveBusy(doing, err)
	}
	return badIfCorrupt(ctx, doing, "the live database is corrupt", err)
}

// backup copies src into the stage by SQLite's backup API. The read transaction
// around it makes every step copy from one snapshot: without it, each write of
// another connection would start the copy over.
func (op *operation) backup(ctx context.Context, src *sqlite3.SQLiteConn, s *stage) (err error) {
	if _, err := src.Exec("BEGIN", nil); err != nil {
		return err
	}
	defer func() {
		_, endErr := src.Exec("COMMIT", nil)
		err = errors.Join(err, endErr)
	}()
	pageSize, err := queryInt(src, "PRAGMA page_size")
	if err != nil {
		return err
	}
	if _, err := queryInt(src, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return err // the read that begins the transaction's snapshot
	}
	opened, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(s.path, "mode=rw", "_journal=OFF", "_sync=OFF", "_locking=EXCLUSIVE"))
	if err != nil {
		return err
	}
	dst := opened.(*sqlite3.SQLiteConn)
	defer func() { err = errors.Join(err, dst.Close()) }()
	return sqlitefile.Backup(ctx, dst, src, max(1, stepBytes/int(pageSize)), func(done, total int64) {
		done, total = done*pageSize, total*pageSize
		op.progress(StepCopying, fmt.Sprintf("copied %d of %d bytes", done, total), done, total)
	})
}

func queryInt(c *sqlite3.SQLiteConn, query string) (int64, error) {
	var v any
	err := queryOne(c, query, &v)
	n, _ := v.(int64)
	return n, err
}

func queryText(c *sqlite3.SQLiteConn, query string) (string, error) {
	var v any
	err := queryOne(c, query, &v)
	return fmt.Sprint(v), err
}

func queryOne(c *sqlite3.SQLiteConn, query string, v *any) error {
	rows, err := c.Query(query, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]sqldriver.Value, 1)
	if err := rows.Next(row); err != nil {
		return err
	}
	*v = row[0]
	return nil
}

// send writes the stage to dst.
func (op *operation) send(ctx context.Context, s *stage, dst io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return failed("read the snapshot", err)
	}
	hash := sha256.New()
	buf := make([]byte, copyChunk)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.file.Read(buf)
		if n > 0 {
			hash.Write(buf[:n])
			if _, err := dst.Write(buf[:n]); err != nil {
				return failed("send the snapshot", err)
			}
			op.report.Bytes += int64(n)
			op.progress(StepSending, fmt.Sprintf("sent %d of %d bytes", op.report.Bytes, s.size), op.report.Bytes, s.size)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return failed("read the snapshot", err)
		}
	}
	if op.report.Bytes != s.size {
		return failed("read the snapshot", fmt.Errorf("%d bytes of %d", op.report.Bytes, s.size))
	}
	op.report.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return nil
}
