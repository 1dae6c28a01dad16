package interop

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// litestreamTables is the schema of the two tables that Litestream makes in the
// database that it replicates, and needs as long as it runs: without them it
// can't checkpoint any more, and says so in its log only.
const litestreamTables = `
	CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
	CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER);`

func withLitestreamTables(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, litestreamTables)
	return err
}

// insert writes a row with this stamp.
func insert(t *testing.T, pool *sql.DB, stamp string) {
	t.Helper()
	if _, err := pool.Exec("INSERT INTO items (stamp, filler) VALUES (?, randomblob(100))", stamp); err != nil {
		t.Fatal(err)
	}
}

// TestLitestreamReplicatesPushedDatabases pushes under the running Litestream,
// which has the database open all the time, so that a push goes in place. To
// Litestream it is a large transaction in the WAL like any other: it replicates
// it as one more LTX file of the size of the database, compressed, and takes no
// new snapshot for it. What one should know:
//
//   - the source needs Litestream's two tables, _litestream_seq and
//     _litestream_lock. One made from a pull has them; for others they are made
//     in Prepare. Without them a push is refused, since the schema differs;
//   - the WAL keeps the size of the database until Litestream, which reads from
//     it all the time, has checkpointed it;
//   - a rename is refused. With Litestream stopped it is done, and Litestream
//     then finds a file that its position does not fit, and begins with a new
//     snapshot: see the next test.
func TestLitestreamReplicatesPushedDatabases(t *testing.T) {
	l := build(t)
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, db := open(t, path)
	replicated := func() {
		t.Helper()
		l.catchesUp(path, pool)
	}
	insert(t, pool, "live")
	l.configure(path)
	l.replicate()
	replicated()
	insert(t, pool, "live")

	// Without its tables.
	_, err := swapper.Push(context.Background(), db, bytes.NewReader(source(t, "new", 1<<20)), swapper.PushOptions{})
	if !errors.Is(err, swapper.ErrSchema) || !strings.Contains(err.Error(), "_litestream_") {
		t.Errorf("a push without Litestream's tables: %v", err)
	}
	// By rename.
	_, err = swapper.Push(context.Background(), db, bytes.NewReader(source(t, "new", 1<<20)),
		swapper.PushOptions{Prepare: withLitestreamTables, Method: swapper.MethodRename})
	if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (litestream)", l.cmd.Process.Pid)) {
		t.Errorf("a push by rename: %v", err)
	}
	replicated()

	for i, size := range []int{1 << 20, 8 << 20, 1 << 20} { // growing, and shrinking
		stamp := fmt.Sprintf("new%d", i)
		r, err := swapper.Push(context.Background(), db, bytes.NewReader(source(t, stamp, size)), swapper.PushOptions{Prepare: withLitestreamTables})
		if err != nil {
			t.Fatal(err)
		}
		if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "litestream") {
			t.Errorf("%+v", r)
		}
		insert(t, pool, stamp)
		replicated()
		insert(t, pool, stamp)
		// It goes on to checkpoint, in the new content.
		testenv.Eventually(t, func() error {
			var seq int
			insert(t, pool, stamp)
			if err := pool.QueryRow("SELECT seq FROM _litestream_seq").Scan(&seq); err != nil {
				return fmt.Errorf("Litestream has not checkpointed since the push: %w", err)
			}
			return nil
		})
	}
	snapshots, err := filepath.Glob(filepath.Join(filepath.Dir(l.config), "replica", "ltx", "9", "*.ltx"))
	if err != nil || len(snapshots) != 1 {
		t.Errorf("it has %d snapshots, %v", len(snapshots), err)
	}
	t.Log("\n" + l.lines("snapshot=true", "snapshot complete", "reason="))
	insert(t, pool, "new2")
	want, err := digest(pool)
	if err != nil {
		t.Fatal(err)
	}
	l.stop()
	if got, err := l.restore(path); err != nil || got != want {
		t.Errorf("restored once Litestream has ended: it is not the live content, %v", err)
	}
	if errs := l.lines("level=ERROR", "level=WARN"); errs != "" {
		t.Errorf("Litestream complains:\n%s", errs)
	}
}

// TestLitestreamBeginsAnewAfterARenameMadeWithoutIt ends Litestream for the push. When it
// comes back it finds another database than the one that it knows, and must not add the
// new one's pages to the old one's replica. (One that is told by its control socket to
// leave the database alone meanwhile may do that: see docs/litestream.md.)
func TestLitestreamBeginsAnewAfterARenameMadeWithoutIt(t *testing.T) {
	l := build(t)
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, db := open(t, path)
	l.configure(path)
	for _, stamp := range []string{"live", "new", "newer"} {
		if stamp != "live" {
			r, err := swapper.Push(context.Background(), db, bytes.NewReader(source(t, stamp, 2<<20)), swapper.PushOptions{Prepare: withLitestreamTables})
			if err != nil {
				t.Fatal(err)
			}
			if r.Method != swapper.MethodRename {
				t.Errorf("%+v", r)
			}
		}
		insert(t, pool, stamp)
		l.replicate()
		l.catchesUp(path, pool)
		insert(t, pool, stamp)
		l.catchesUp(path, pool)
		l.stop()
	}
	t.Log("\n" + l.lines("level=WARN", "level=ERROR", "snapshot=true", "snapshotting", "reason="))
}
