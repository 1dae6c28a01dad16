package sockserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/internal/testenv"
)

// status lists the only database within a deadline.
func status(t *testing.T, c *Client) DatabaseInfo {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := c.Databases(ctx, TheDatabase)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

func TestAStatusHasEveryKeyWhateverTheDatabase(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	writeFile(t, dir+"/other.sqlite3", "")
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db", dir + "/*.sqlite3"}}, nil)
	res, err := newTestClient(t, s).commands.Get(clientBase + "/v1/databases")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(body, &list); err != nil || len(list) != 2 {
		t.Fatalf("%v of %s", err, body)
	}
	want := []string{"backup", "commands", "holders", "journal_mode", "open", "open_in", "path", "peers", "size", "stats", "swaps", "wal_size", "warnings"}
	for _, db := range list {
		if got := slices.Sorted(maps.Keys(db)); !slices.Equal(got, want) {
			t.Errorf("%s has %q", db["path"], got)
		}
		for _, key := range []string{"holders", "open_in", "peers", "warnings"} {
			if _, ok := db[key].([]any); !ok {
				t.Errorf("%s: %s is %v, and no list", db["path"], key, db[key])
			}
		}
	}
}

func TestAStatusWaitsForNoLock(t *testing.T) {
	dir := shortDir(t)
	db := openDatabase(t, dir+"/db", 3)
	c := newTestClient(t, startServer(t, dir, Config{}, nil))
	mode := "wal"
	if runtime.GOOS != "linux" {
		mode = "unknown"
	}
	if got := status(t, c); got.JournalMode != mode || got.WALSize == 0 {
		t.Errorf("got %+v", got)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, statement := range []string{"PRAGMA locking_mode=EXCLUSIVE", "DELETE FROM t"} {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(t, c); got.JournalMode != mode {
		t.Errorf("locked: got %+v", got)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	managed, _ := driver.Lookup(dir + "/db")
	frozen, err := managed.Freeze(t.Context(), driver.FreezeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Thaw()
	if got := status(t, c); !got.Stats.Frozen || got.JournalMode != "unknown" {
		t.Errorf("frozen: got %+v", got)
	}
}

// onTmpfs is a directory in memory.
func onTmpfs(t *testing.T) string {
	t.Helper()
	const shm = "/dev/shm"
	if fileSystemOf(shm) != fsTmpfs {
		testenv.Skip(t, "%s is no tmpfs", shm)
	}
	dir, err := os.MkdirTemp(shm, "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestADatabaseThatDoesNotLastIsWarnedOf(t *testing.T) {
	dir := onTmpfs(t)
	openDatabase(t, dir+"/db", 1)
	var log bytes.Buffer
	s, err := Start(Config{
		SocketPath:    filepath.Join(shortDir(t), "s.sock"),
		DatabasePaths: []string{dir + "/db"},
		Logger:        zerolog.New(zerolog.SyncWriter(&log)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := status(t, newTestClient(t, s))
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "tmpfs") {
		t.Errorf("got %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); strings.Count(text, "may not last") != 1 || !strings.Contains(text, dir+"/db") {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestADatabaseThatIsOpenedLaterIsWarnedOfAtItsFirstCommand(t *testing.T) {
	dir := onTmpfs(t)
	var log bytes.Buffer
	h := Handler(Config{Logger: zerolog.New(&log), DatabasePaths: []string{dir + "/*"}})
	openDatabase(t, dir+"/db", 1)
	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/snapshot?path=database", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("got %d: %s", w.Code, w.Body)
		}
	}
	lognote.Flush(time.Minute)
	if text := log.String(); strings.Count(text, "may not last") != 1 {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestEveryFileSystemThatDoesNotLastHasItsWords(t *testing.T) {
	for fileSystem, words := range map[string]string{
		fsOverlay: "keep it on a volume", fsTmpfs: "tmpfs, in memory", fsRamfs: "ramfs, in memory", "": "",
	} {
		got := storageWarning(fileSystem)
		if !strings.Contains(got, words) || (words == "") != (got == "") {
			t.Errorf("%q: %q", fileSystem, got)
		}
	}
}

func TestADatabaseWhoseFileIsGoneIsWarnedOf(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	client := newTestClient(t, s)
	before := status(t, client).Warnings
	if err := os.Remove(dir + "/db"); err != nil {
		t.Fatal(err)
	}
	got := status(t, client).Warnings
	if slices.Equal(got, before) || !strings.Contains(strings.Join(got, "\n"), "removed or moved away") {
		t.Errorf("got %q", got)
	}
}
