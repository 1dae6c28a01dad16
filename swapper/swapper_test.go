package swapper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/swapper"
)

// unsynced are for fixtures, which need not outlast a power loss.
var unsynced = []string{"PRAGMA synchronous=OFF", "PRAGMA journal_mode=MEMORY"}

// sources are the databases that were made, by their stamps.
var sources sync.Map

func TestPushReplacesTheDatabaseInEveryJournalMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"DELETE", "WAL", "TRUNCATE", "PERSIST", "MEMORY"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			s.exec("INSERT INTO items (stamp) VALUES ('live')")
			r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
			if got := s.stamp(); got != "new" {
				t.Errorf("after the push the stamp is %q", got)
			}
			if !r.Swapped || r.Generation != 2 || s.db.Generation() != 2 {
				t.Errorf("report %+v, generation %d", r, s.db.Generation())
			}
			var now string
			if err := s.pool.QueryRow("PRAGMA journal_mode").Scan(&now); err != nil || !strings.EqualFold(now, mode) {
				t.Errorf("journal mode is %q, %v", now, err)
			}
			// The replaced file has everything that was acknowledged, by itself.
			old, err := sql.Open("sqlite3", "file:"+r.BackupPath+"?mode=ro&immutable=1")
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			var n int
			if err := old.QueryRow("SELECT count(*) FROM items WHERE stamp = 'live'").Scan(&n); err != nil || n != 201 {
				t.Errorf("the backup has %d rows, %v; want 201", n, err)
			}
			s.onlyFiles("live.sqlite3~")
		})
	}
}

func TestPushLogsEveryStepInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	var log bytes.Buffer
	var events []swapper.Step
	s.mustPush(source(t, "new"), swapper.PushOptions{
		Logger: zerolog.New(&log),
		Notify: func(e swapper.Event) {
			if e.Step != swapper.StepReceiving {
				events = append(events, e.Step)
			}
		},
	})
	want := []swapper.Step{
		swapper.StepPushStarted, swapper.StepReceived, swapper.StepIntegrity, swapper.StepIntegrityPassed,
		swapper.StepSchema, swapper.StepSchemaPassed, swapper.StepGateClosed, swapper.StepClosed,
		swapper.StepRenamed, swapper.StepGateOpen, swapper.StepReconnected, swapper.StepPushComplete,
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("steps\n%v, want\n%v", events, want)
	}
	for _, text := range []string{"push started", "received ", "running integrity check", "gate closed: calls are queued",
		"closed 1 connection", "renamed stage to target", "gate open: calls resume (pause ", "reconnected 1", "push complete"} {
		i := strings.Index(log.String(), text)
		if i < 0 {
			t.Errorf("the log has no %q behind the line before it:\n%s", text, log.String())
			continue
		}
		log.Next(i)
	}
}

func TestABadSourceIsRefusedAndTheLiveDatabaseStays(t *testing.T) {
	t.Parallel()
	good := source(t, "new")
	corrupt := bytes.Clone(good)
	copy(corrupt[2*4096:], bytes.Repeat([]byte{0xA5}, 4096))
	other := func() []byte {
		path := filepath.Join(t.TempDir(), "other.sqlite3")
		makeDatabase(t, path, "new", 3)
		db, _ := sql.Open("sqlite3", path)
		defer db.Close()
		if _, err := db.Exec("ALTER TABLE items ADD COLUMN extra; CREATE TABLE more (x)"); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(path)
		return data
	}()
	cases := map[string]struct {
		data []byte
		opts swapper.PushOptions
		says string
	}{
		"empty":               {nil, swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "empty"},
		"noise":               {bytes.Repeat([]byte("noise"), 1000), swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "not an SQLite database"},
		"a header's part":     {good[:60], swapper.PushOptions{}, "less than a header"},
		"cut at a page":       {good[:len(good)/4096/2*4096], swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "truncated"},
		"cut in a page":       {good[:len(good)-100], swapper.PushOptions{SkipIntegrityCheck: true}, "truncated"},
		"shorter than said":   {good[:len(good)-4096], swapper.PushOptions{Size: int64(len(good))}, "announced"},
		"longer than it says": {append(bytes.Clone(good), make([]byte, 4096)...), swapper.PushOptions{}, "too long"},
		"corrupt page":        {corrupt, swapper.PushOptions{}, "corrupt"},
		"corrupt page, quick": {corrupt, swapper.PushOptions{Quick: true}, "corrupt"},
		"other schema":        {other, swapper.PushOptions{}, "table items differs"},
		"validate":            {good, swapper.PushOptions{Validate: func(context.Context, *sql.DB) error { return errors.New("too few users") }}, "too few users"},
		"prepare":             {good, swapper.PushOptions{Prepare: func(context.Context, *sql.DB) error { return errors.New("no migration") }}, "no migration"},
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	before := digest(t, s.pool)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := s.push(c.data, c.opts)
			if !errors.Is(err, swapper.ErrBadDatabase) {
				t.Fatalf("got %v, want an ErrBadDatabase", err)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "the live database is unchanged") || !strings.Contains(err.Error(), s.path) {
				t.Errorf("message %q", err)
			}
			t.Log(err)
			if r.Swapped || digest(t, s.pool) != before || s.db.Generation() != 1 {
				t.Error("the live database changed")
			}
			s.onlyFiles()
		})
	}
}

func digest(t testing.TB, pool *sql.DB) string {
	t.Helper()
	rows, err := pool.Query("SELECT id, stamp, hex(filler) FROM items ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var id, stamp, filler sql.NullString
		if err := rows.Scan(&id, &stamp, &filler); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, id, stamp, filler)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestASourceThatFailsIsNoEndOfFile(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	good := source(t, "new")
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("connection reset")} {
		src := io.MultiReader(bytes.NewReader(good), failingReader{cause})
		_, err := swapper.Push(context.Background(), s.db, src, swapper.PushOptions{})
		if !errors.Is(err, cause) || s.stamp() != "live" {
			t.Errorf("got %v, stamp %s", err, s.stamp())
		}
	}
	s.onlyFiles()
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
