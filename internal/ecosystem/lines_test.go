package ecosystem

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/doug-martin/goqu/v9"
	_ "github.com/doug-martin/goqu/v9/dialect/sqlite3"
	"github.com/gocraft/dbr/v2"
	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/source/file"
	"github.com/jmoiron/sqlx"
	"github.com/pocketbase/dbx"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"xorm.io/xorm"

	hotswap "hotswap/driver"
)

// TestTheLinesForEachLibraryDoWhatTheGuideSays: each block of docs/libraries.md stands in
// the source of these tests, which is run.
func TestTheLinesForEachLibraryDoWhatTheGuideSays(t *testing.T) {
	var source string
	for _, name := range []string{"libraries_test.go", "lines_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	guide, err := os.ReadFile("../../docs/libraries.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(guide), "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "\n```")
		if !strings.Contains(unindented(source), unindented(block)) {
			t.Errorf("no test has this block of the guide:\n%s", block)
		}
	}
	if len(blocks) < len(libraries) {
		t.Errorf("%d blocks for %d libraries", len(blocks), len(libraries))
	}
	migrations, err := filepath.Abs("testdata/migrations")
	if err != nil {
		t.Fatal(err)
	}
	if repository, err = filepath.Abs("."); err != nil {
		t.Fatal(err)
	}
	for name, run := range libraries {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			if err := os.CopyFS("migrations", os.DirFS(migrations)); err != nil {
				t.Fatal(err)
			}
			other := map[string]string{"goose": "1_notes.up.sql", "golang-migrate": "00001_notes.sql"}[name]
			if other != "" {
				os.Remove(filepath.Join("migrations", other))
			}
			if err := run(t, "file:app.db?_journal=WAL", filepath.Join(dir, "app.db")); err != nil {
				t.Error(err)
			}
			if _, ok := hotswap.Lookup("app.db"); !ok { // hotswap is the name for hotswap/driver in this file
				t.Error("app.db is not managed")
			}
		})
	}
}

func unindented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimSpace(line) + "\n")
	}
	return strings.TrimSpace(out.String())
}

// TestWhatGoesWrongWithoutAWord is what the guide warns of. If it fails, the guide says too
// much.
func TestWhatGoesWrongWithoutAWord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := gorm.Open(sqlite.Open(path), &gorm.Config{})
	if err != nil || db.Exec("CREATE TABLE t (v)").Error != nil {
		t.Fatal(err, db.Error)
	}
	if _, ok := hotswap.Lookup(path); ok {
		t.Error("GORM's sqlite.Open is managed")
	}
	m, err := migrate.New("file://testdata/migrations", "sqlite3://"+path)
	if err == nil {
		defer m.Close()
	}
	if _, ok := hotswap.Lookup(path); ok {
		t.Error("golang-migrate's URL is managed")
	}
	for name, open := range byItsName {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			db, err := open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("CREATE TABLE t (v)"); err != nil {
				t.Fatal(err)
			}
			if _, ok := hotswap.Lookup(path); ok {
				t.Error("what is opened as sqlite3 is managed")
			}
		})
	}
	if got := dbx.NewFromDB(nil, "sqlite3-other").QuoteSimpleTableName("t"); got != `"t"` {
		t.Errorf("dbx quotes %s for a driver that it does not know", got)
	}
	query, _, err := goqu.New("sqlite3-hotswap", nil).From("t").Where(goqu.C("v").IsTrue()).ToSQL()
	if err != nil || !strings.Contains(query, `"t"`) || !strings.Contains(query, "TRUE") {
		t.Errorf("goqu writes %s, %v", query, err)
	}
}

// byItsName are ways to open a database with a name, given that of go-sqlite3.
var byItsName = map[string]func(path string) (*sql.DB, error){
	"database/sql": func(path string) (*sql.DB, error) { return sql.Open("sqlite3", path) },
	"sqlx": func(path string) (*sql.DB, error) {
		db, err := sqlx.Open("sqlite3", path)
		return db.DB, err
	},
	"dbr": func(path string) (*sql.DB, error) {
		db, err := dbr.Open("sqlite3", path, nil)
		return db.DB, err
	},
	"dbx": func(path string) (*sql.DB, error) {
		db, err := dbx.Open("sqlite3", path)
		return db.DB(), err
	},
	"entsql": func(path string) (*sql.DB, error) {
		db, err := entsql.Open("sqlite3", path)
		return db.DB(), err
	},
	"XORM": func(path string) (*sql.DB, error) {
		db, err := xorm.NewEngine("sqlite3", path)
		return db.DB().DB, err
	},
}
