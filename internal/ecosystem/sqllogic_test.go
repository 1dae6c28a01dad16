package ecosystem

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dolthub/sqllogictest/go/logictest/parser"

	"hotswap/driver"
	"hotswap/swapper"
)

var (
	corpus = flag.String("sqllogictest", "", "the `directory` of sqllogictest's files (sqlite.org/sqllogictest)")
	most   = flag.Int("statements", 4000, "of each of those files at most")
)

// TestStatementsOfSQLLogicTestAnswerAsOnGoSQLite3 runs each file's statements on
// go-sqlite3, on this driver, and on this driver with a swap after every 50th, and
// compares values, their types, and errors.
func TestStatementsOfSQLLogicTestAnswerAsOnGoSQLite3(t *testing.T) {
	if *corpus == "" {
		t.Skip("only with -sqllogictest")
	}
	statements, swaps := 0, 0
	err := filepath.WalkDir(*corpus, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".test" {
			return err
		}
		records, err := parser.ParseTestFile(path)
		if err != nil {
			return err
		}
		if len(records) > *most {
			records = records[:*most]
		}
		raw := newLogic(t, "sqlite3")
		ours := newLogic(t, driver.Name)
		swapped := newLogic(t, driver.Name)
		for i, record := range records {
			if record.Type() == parser.Halt || !record.ShouldExecuteForEngine("sqlite") {
				continue
			}
			if i%50 == 49 {
				swapped.swap(t)
				swaps++
			}
			statements++
			want := raw.answer(record)
			for _, l := range []logic{ours, swapped} {
				if got := l.answer(record); got != want {
					t.Errorf("%s:%d: %s\n%s\non go-sqlite3: %s", path, record.LineNum(), record.Query(), got, want)
				}
			}
		}
		for _, l := range []logic{raw, ours, swapped} {
			if err := l.db.Close(); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil || statements == 0 {
		t.Fatalf("%d statements, %v", statements, err)
	}
	t.Logf("%d statements, %d swaps", statements, swaps)
}

// logic is a database that statements are run on.
type logic struct {
	path string
	db   *sql.DB
}

func newLogic(t *testing.T, name string) logic {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logic.db")
	db, err := sql.Open(name, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("PRAGMA synchronous=OFF"); err != nil {
		t.Fatal(err)
	}
	return logic{path, db}
}

// answer is what comes of a statement: each row with the types of its values, and the
// error that ended it.
func (l logic) answer(record *parser.Record) string {
	var answer strings.Builder
	if record.Type() == parser.Statement {
		_, err := l.db.Exec(record.Query())
		return fmt.Sprint(err)
	}
	rows, err := l.db.Query(record.Query())
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	columns, err := rows.Columns()
	fmt.Fprintln(&answer, columns, err)
	values, to := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err.Error()
		}
		for _, value := range values {
			fmt.Fprintf(&answer, "%T %v|", value, value)
		}
		answer.WriteByte('\n')
	}
	fmt.Fprint(&answer, rows.Err())
	return answer.String()
}

// swap pushes what is there.
func (l logic) swap(t *testing.T) {
	t.Helper()
	d, ok := driver.Lookup(l.path)
	if !ok {
		t.Fatal("not managed")
	}
	var now bytes.Buffer
	if _, err := swapper.Pull(t.Context(), d, &now, swapper.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := swapper.Push(t.Context(), d, &now, swapper.PushOptions{SkipIntegrityCheck: true, Method: swapper.MethodRename}); err != nil {
		t.Fatal(err)
	}
}
