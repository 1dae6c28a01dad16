package sockserver

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"hotswap/swapper"
)

// TestWhatIsKept: the request decides, and where it says nothing the program's Config.Keep.
func TestWhatIsKept(t *testing.T) {
	for _, c := range []struct {
		query  string
		config int
		backup bool
		as     swapper.BackupNames
		keep   int
		bad    bool
	}{
		{},
		{config: 3, backup: true, as: swapper.BackupNumbered, keep: 3},
		{query: "backup=0", config: 3},
		{query: "backup=1", config: 3, backup: true},
		{query: "backup=1", backup: true},
		{query: "backup", backup: true},
		{query: "backup=simple", config: 3, backup: true, as: swapper.BackupSimple},
		{query: "backup=existing", backup: true, as: swapper.BackupExisting},
		{query: "backup=numbered", backup: true, as: swapper.BackupNumbered},
		{query: "backup=numbered", config: 3, backup: true, as: swapper.BackupNumbered, keep: 3},
		{query: "backup=numbered&keep=5", config: 3, backup: true, as: swapper.BackupNumbered, keep: 5},
		{query: "backup=always", bad: true},
		{query: "backup=1&keep=5", bad: true},
		{query: "keep=5", bad: true},
		{query: "backup=numbered&keep=-1", bad: true},
		{query: "backup=numbered&keep=99999999999", bad: true},
		{query: "backup=numbered&keep=x", bad: true},
	} {
		q, err := parseQuery(httptest.NewRequest(http.MethodPut, "/v1/database?"+c.query, nil), paramBackup, paramKeep)
		if err != nil {
			t.Fatal(err)
		}
		var opts swapper.PushOptions
		q.backup(&opts, c.config)
		if (q.err != nil) != c.bad {
			t.Errorf("%q: %v", c.query, q.err)
		}
		if !c.bad && (opts.Backup != c.backup || opts.BackupAs != c.as || opts.Keep != c.keep) {
			t.Errorf("%q with Keep %d: %+v", c.query, c.config, opts)
		}
	}
}

func TestAClientThatWantsNoBackupGetsNone(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 3)
	makeDatabase(t, dir+"/new", 5)
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, startServer(t, dir, Config{Keep: 2}, nil))
	for _, none := range []bool{true, false} {
		r, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{NoBackup: none})
		if err != nil || (r.BackupPath == "") != none {
			t.Errorf("NoBackup is %t: kept as %q, %v", none, r.BackupPath, err)
		}
	}
}

// TestTheTagOfABackupGoesWithALogBesideIt, although it was known before there was one.
func TestTheTagOfABackupGoesWithALogBesideIt(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 3)
	makeDatabase(t, dir+"/new", 5)
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, startServer(t, dir, Config{}, nil))
	if _, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{Backup: true}); err != nil {
		t.Fatal(err)
	}
	tag := func() string {
		t.Helper()
		all, err := c.Backups(t.Context(), TheDatabase, true)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].Tag
	}
	known := tag()
	if known == "" {
		t.Fatal("it has none")
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := os.WriteFile(dir+"/db~"+suffix, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tag(); got != "" {
			t.Errorf("with a %s: %q", suffix, got)
		}
		if err := os.Remove(dir + "/db~" + suffix); err != nil {
			t.Fatal(err)
		}
		if got := tag(); got != known {
			t.Errorf("without it: %q, want %q", got, known)
		}
	}
}
