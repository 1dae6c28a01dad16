package driver_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

const extensionSource = `
#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1
static void answer(sqlite3_context *c, int n, sqlite3_value **v) { sqlite3_result_int(c, 42); }
int sqlite3_answer_init(sqlite3 *db, char **err, const sqlite3_api_routines *api) {
	SQLITE_EXTENSION_INIT2(api);
	return sqlite3_create_function(db, "answer", 0, SQLITE_UTF8, 0, answer, 0, 0);
}
`

func TestExtensionsAreLoadedOnEveryReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	include, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/mattn/go-sqlite3").Output()
	if err != nil {
		testenv.Skip(t, "no go command to find the header with: %v", err)
	}
	source, library := filepath.Join(dir, "answer.c"), filepath.Join(dir, "answer.so")
	if err := os.WriteFile(source, []byte(extensionSource), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cc", "-shared", "-fPIC", "-I", strings.TrimSpace(string(include)), "-o", library, source).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	db, err := sql.Open(register(t, driver.WithExtensions(library)), filepath.Join(dir, "x.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		var n int
		if err := db.QueryRow("SELECT answer()").Scan(&n); err != nil || n != 42 {
			t.Error(n, err)
		}
		d, _ := driver.Lookup(filepath.Join(dir, "x.sqlite3"))
		swap(t, d)
	}
}
