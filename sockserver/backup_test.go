package sockserver

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// put sends a push of its own making to a server's socket.
func put(t testing.TB, c *Client, query url.Values, body string) error {
	t.Helper()
	req, err := newRequest(t.Context(), http.MethodPut, "/v1/database", query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := send(c.commands, req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func TestTheBackupIsListedAndCanBeTakenBack(t *testing.T) {
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 3)
	makeDatabase(t, dir+"/new", 5)
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, startServer(t, dir, Config{}, nil))
	back := url.Values{paramPath: {TheDatabase}, paramFrom: {fromBackup}, paramBackup: {"1"}}
	if p := assertProblem(t, put(t, c, back, ""), ProblemTarget); !strings.Contains(p.Detail, "there is no backup "+dir+"/db~") {
		t.Errorf("got %+v", p)
	}

	if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader(string(content)), PushParams{Backup: true}); err != nil {
		t.Fatal(err)
	}
	for i, rows := range []int{5, 3, 5} {
		list, err := c.Databases(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if db := list[0]; db.Backup == nil || db.Backup.Path != dir+"/db~" || db.Backup.Size == 0 || len(db.Swaps) != i+1 || db.Swaps[i].Generation != uint64(i+2) {
			t.Errorf("the list says %+v", db)
		}
		if got := rowsIn(t, live); got != rows {
			t.Errorf("%d rows, want %d", got, rows)
		}
		if err := put(t, c, back, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNoBackupIsNotTakenBack(t *testing.T) {
	for name, test := range map[string]struct {
		make   func(t *testing.T, backup string) error
		change url.Values
		body   string
		typ    ProblemType
		detail string
	}{
		"a link": {func(_ *testing.T, backup string) error { return os.Symlink("new", backup) }, nil, "", ProblemTarget, "not a regular file"},
		"with a log": {func(_ *testing.T, backup string) error {
			return errors.Join(os.Link(strings.TrimSuffix(backup, "db~")+"new", backup), os.WriteFile(backup+"-wal", []byte("x"), 0o600))
		}, nil, "", ProblemTarget, "has a -wal"},
		"open here": {func(t *testing.T, backup string) error { openDatabase(t, backup, 1); return nil }, nil, "", ProblemTarget, "the program has"},
		"managed": {func(t *testing.T, backup string) error {
			pool := openDatabase(t, backup, 1)
			pool.SetMaxIdleConns(-1)
			return nil
		}, nil, "", ProblemTarget, "a database of the program's"},
		"damaged":   {func(_ *testing.T, backup string) error { return os.WriteFile(backup, []byte("x"), 0o600) }, nil, "", ProblemBad, "not an SQLite database"},
		"a body":    {nil, nil, "x", ProblemBadRequest, "no body"},
		"a digest":  {nil, url.Values{paramIfChanged: {strings.Repeat("0", 64)}}, "", ProblemBadRequest, "no body"},
		"elsewhere": {nil, url.Values{paramFrom: {"/etc/passwd"}}, "", ProblemBadRequest, `"/etc/passwd" is not "backup"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			live := openDatabase(t, dir+"/db", 3)
			makeDatabase(t, dir+"/new", 5)
			c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
			if test.make != nil {
				if err := test.make(t, dir+"/db~"); err != nil {
					t.Fatal(err)
				}
			}
			query := url.Values{paramPath: {TheDatabase}, paramFrom: {fromBackup}}
			maps.Copy(query, test.change)
			if p := assertProblem(t, put(t, c, query, test.body), test.typ); !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %+v", p)
			}
			if rowsIn(t, live) != 3 {
				t.Error("it was taken")
			}
		})
	}
}
