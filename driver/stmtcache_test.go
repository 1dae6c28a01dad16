package driver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"hotswap/driver"
	"hotswap/internal/cursor"
)

// SQLite keeps an argument until the next one is bound.
func TestNoKeptStatementHoldsLargeArguments(t *testing.T) {
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	const insert, query = "INSERT INTO t (v) SELECT length(?) + length(?)", "SELECT length(?) + length(?) FROM t"
	run := func(a, b any) {
		t.Helper()
		want := 0
		for _, arg := range []any{a, b} {
			switch v := arg.(type) {
			case string:
				want += len(v)
			case []byte:
				want += len(v)
			}
		}
		mustExec(t, db, insert, a, b)
		var got int
		if err := db.QueryRow(query, a, b).Scan(&got); err != nil || got != want {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
		if err := db.QueryRow("SELECT v FROM t ORDER BY id DESC LIMIT 1").Scan(&got); err != nil || got != want {
			t.Fatalf("wrote %d, %v, want %d", got, err, want)
		}
	}
	kept := func(text string) bool { return slices.Contains(driver.KeptStatements(d), text) }
	for _, large := range [][2]any{
		{make([]byte, 64<<10), "x"},
		{"x", strings.Repeat("x", 1<<20)},
		{make([]byte, 40<<10), make([]byte, 40<<10)}, // together
	} {
		for range 3 {
			run(large[0], large[1])
		}
		if kept(insert) || kept(query) {
			t.Fatal("a statement is kept with its large arguments")
		}
	}
	for range 2 {
		run("small", []byte("ones"))
	}
	if !kept(insert) || !kept(query) {
		t.Fatal("a statement with small arguments is not kept")
	}
	run(make([]byte, 1<<20), "x") // the kept one is not touched
	run(make([]byte, 32<<10), make([]byte, 32<<10))
}

func TestStatementsThatAreRunInTurnAreAllKept(t *testing.T) {
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	var texts []string
	for i := range 60 {
		texts = append(texts, fmt.Sprintf("SELECT %d FROM t", i))
	}
	for range 2 {
		for _, text := range texts {
			var got int
			if err := db.QueryRow(text).Scan(&got); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := driver.KeptStatements(d)
	for _, text := range texts {
		if !slices.Contains(kept, text) {
			t.Errorf("%s is not kept, of %d that were run in turn", text, len(texts))
		}
	}
}

// TestTheMemoryOfKeptStatementsIsBounded: of large ones fewer are kept, the latest.
func TestTheMemoryOfKeptStatementsIsBounded(t *testing.T) {
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	text := func(i int) string {
		return fmt.Sprintf("SELECT count(*) FROM t WHERE id = %d", i) + strings.Repeat(" OR id + 1 > id * 2 AND v > 'x'", 500)
	}
	const run = 40
	for i := range run {
		for range 2 {
			var n int
			if err := db.QueryRow(text(i)).Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := driver.KeptStatements(d)
	if len(kept) == 0 || len(kept) == run || kept[len(kept)-1] != text(run-1) {
		t.Errorf("%d are kept", len(kept))
	}
	const most = 1 << 20
	if bytes := driver.KeptBytes(d); bytes > most || bytes < most/2 {
		t.Errorf("they take %d bytes", bytes)
	}
}

// TestATextIsKnownToAllConnections: one that was run on another is kept from its first use,
// and is the same string in memory.
func TestATextIsKnownToAllConnections(t *testing.T) {
	db, d := open(t, "", 1)
	for _, times := range []int{2, 1} {
		conn := connect(t, db)
		for range times {
			if _, err := conn.ExecContext(t.Context(), strings.Clone("DELETE FROM t WHERE id = 1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := driver.KeptStatements(d)
	if len(kept) != 2 {
		t.Fatalf("kept: %q", kept)
	}
	if unsafe.StringData(kept[0]) != unsafe.StringData(kept[1]) {
		t.Error("each connection has its own copy")
	}
}

// TestKeptStatementsThatGrowAreMeasuredAgain: SQLite compiles them anew.
func TestKeptStatementsThatGrowAreMeasuredAgain(t *testing.T) {
	if !cursor.Supported() {
		t.Skip("what SQLite has of a statement is not known where it has SQLITE_ENABLE_UNLOCK_NOTIFY")
	}
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE VIEW wide AS SELECT id FROM t")
	run := func(times int) {
		t.Helper()
		for range times {
			for i := range 20 {
				rows, err := db.Query(fmt.Sprintf("SELECT * FROM wide -- %d", i))
				if err != nil {
					t.Fatal(err)
				}
				rows.Close()
			}
		}
	}
	run(2)
	if n := len(driver.KeptStatements(d)); n != 20 {
		t.Fatalf("%d are kept", n)
	}
	mustExec(t, db, "DROP VIEW wide")
	mustExec(t, db, "CREATE VIEW wide AS SELECT "+strings.Repeat("id, ", 1900)+"id FROM t")
	run(100)
	const most = 1 << 20
	kept, bytes := driver.KeptStatements(d), driver.KeptBytes(d)
	if len(kept) == 20 || bytes > most || bytes < most/2 {
		t.Errorf("%d are kept, which take %d bytes", len(kept), bytes)
	}
}

// TestWhatTriggersTakeCounts, which is compiled with each statement that fires them: also of
// those that are never read from, and of one that alone takes more than there may be.
func TestWhatTriggersTakeCounts(t *testing.T) {
	if !cursor.Supported() {
		t.Skip("what SQLite has of a statement is not known where it has SQLITE_ENABLE_UNLOCK_NOTIFY")
	}
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	many := func(table string, triggers int) {
		mustExec(t, db, "CREATE TABLE "+table+" (id, n)")
		for i := range triggers {
			mustExec(t, db, fmt.Sprintf("CREATE TRIGGER %s%d AFTER UPDATE ON %s BEGIN %s END", table, i, table,
				strings.Repeat("INSERT INTO t SELECT max(id) + 1, max(v) FROM t; ", 10)))
		}
	}
	many("some", 20)
	many("most", 200)
	for range 3 {
		for i := range 64 {
			mustExec(t, db, fmt.Sprintf("UPDATE some SET n = 1 WHERE id = %d", i))
		}
	}
	const most = 1 << 20
	if kept, bytes := driver.KeptStatements(d), driver.KeptBytes(d); len(kept) == 64 || bytes > most || bytes < most/8 {
		t.Errorf("%d are kept, which take %d bytes", len(kept), bytes)
	}
	for range 3 {
		mustExec(t, db, "UPDATE most SET n = 1")
	}
	if kept := driver.KeptStatements(d); slices.Contains(kept, "UPDATE most SET n = 1") {
		t.Errorf("kept: %q, which take %d bytes", kept, driver.KeptBytes(d))
	}
}

// TestTheArgumentsOfKeptStatementsCount: SQLite has copies of them.
func TestTheArgumentsOfKeptStatementsCount(t *testing.T) {
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	calls := map[string]func(i int, arg string) error{
		"a row": func(i int, arg string) error {
			var n int
			return db.QueryRow(fmt.Sprintf("SELECT length(?) + %d", i), arg).Scan(&n)
		},
		"an Exec": func(i int, arg string) error {
			_, err := db.Exec(fmt.Sprintf("UPDATE t SET v = ? WHERE id = -%d", i), arg)
			return err
		},
	}
	for name, call := range calls {
		for _, size := range []int{1, 1, 1, 60 << 10} {
			for i := range 64 {
				if err := call(i, strings.Repeat("x", size)); err != nil {
					t.Fatal(err)
				}
			}
		}
		const most = 1 << 20
		kept, bytes := driver.KeptStatements(d), driver.KeptBytes(d)
		if len(kept)*(60<<10) > most || bytes > most || bytes < most/2 {
			t.Errorf("%s: %d are kept, which take %d bytes", name, len(kept), bytes)
		}
		if err := call(63, ""); err != nil { // go-sqlite3 keeps the room
			t.Fatal(err)
		}
		if now := driver.KeptBytes(d); now != bytes {
			t.Errorf("%s: with a short argument they take %d bytes rather than %d", name, now, bytes)
		}
	}
}
