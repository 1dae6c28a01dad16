package sockserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"hotswap/swapper"
)

// unreadSource fails the test that reads it.
type unreadSource struct{ t *testing.T }

func (s unreadSource) Read([]byte) (int, error) {
	s.t.Error("the body was sent")
	return 0, errors.New("unwanted")
}

func TestAPushOfTheSameBytesIsNotSentAgain(t *testing.T) {
	dir := shortDir(t)
	db := openDatabase(t, dir+"/db", 3)
	other := openDatabase(t, dir+"/new", 5)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
	push := func(ifChanged string) swapper.Report {
		t.Helper()
		f, err := os.Open(dir + "/new")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		report, err := c.Push(t.Context(), TheDatabase, f, PushParams{IfChanged: ifChanged})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	unchanged := func() {
		t.Helper()
		report, err := c.Push(t.Context(), TheDatabase, unreadSource{t}, PushParams{IfChanged: digest, Source: "new"})
		if err != nil || !report.Unchanged || report.Swapped || report.SHA256 != digest || report.Target != dir+"/db" {
			t.Errorf("got %+v, %v", report, err)
		}
	}
	if report := push(digest); !report.Swapped || report.Unchanged {
		t.Errorf("nothing was pushed before, and got %+v", report)
	}
	unchanged()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 5 {
		t.Fatalf("%d rows, %v", n, err)
	}
	unchanged() // a read is no write
	if report := push(""); !report.Swapped {
		t.Errorf("it was not asked about, and got %+v", report)
	}
	if _, err := db.Exec("DELETE FROM t WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	if report := push(digest); !report.Swapped || report.Unchanged {
		t.Errorf("the program wrote, and got %+v", report)
	}
	unchanged()
	if report := push(digest[2:] + "00"); !report.Swapped { // the digest of other bytes
		t.Errorf("got %+v", report)
	}
	_, err = c.Push(t.Context(), TheDatabase, unreadSource{t}, PushParams{IfChanged: "short"})
	assertProblem(t, err, ProblemBadRequest)
}
