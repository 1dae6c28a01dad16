package sockserver

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestTheStatusWarnsOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "it is seen on Linux only")
	}
	for name, c := range map[string]struct {
		harm func([]byte) []byte
		says string
	}{
		"sound":                 {func(data []byte) []byte { return data }, ""},
		"the header":            {func(data []byte) []byte { copy(data, bytes.Repeat([]byte("rubbish "), 20)); return data }, "file is not a database"},
		"the schema's page":     {func(data []byte) []byte { copy(data[100:], "rubbish"); return data }, "database disk image is malformed"},
		"the schema's text":     {func(data []byte) []byte { return bytes.Replace(data, []byte("TABLE t ("), []byte("TABLE t )"), 1) }, "malformed database schema"},
		"cut":                   {func(data []byte) []byte { return data[:len(data)-4096] }, "database disk image is malformed"},
		"cut to nearly nothing": {func(data []byte) []byte { return data[:60] }, "it has 60 bytes"},
		"a page of a table":     {func(data []byte) []byte { copy(data[4096:], bytes.Repeat([]byte{0xA5}, 4096)); return data }, "database disk image is malformed"},
	} {
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				dir := shortDir(t)
				path := filepath.Join(dir, "db")
				plain, err := sql.Open("sqlite3", "file:"+path+"?_journal="+mode)
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range []string{"CREATE TABLE t (v)", "INSERT INTO t VALUES (zeroblob(20000))"} {
					if _, err := plain.Exec(q); err != nil {
						t.Fatal(err)
					}
				}
				plain.Close()
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, c.harm(data), 0o600); err != nil {
					t.Fatal(err)
				}
				pool, err := sql.Open(driver.Name, "file:"+path)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				var v []byte
				queryErr := pool.QueryRow("SELECT v FROM t").Scan(&v)
				s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
				warnings := strings.Join(status(t, newTestClient(t, s)).Warnings, "\n")
				said := strings.Contains(warnings, "damaged")
				if said != (c.says != "") || !strings.Contains(warnings, c.says) {
					t.Errorf("it warns %q (%v)", warnings, queryErr)
				}
				// What is pushed over it is not damaged.
				db, _ := driver.Lookup(path)
				sound := openSound(t)
				opts := swapper.PushOptions{SkipSchemaCheck: true}
				if _, err := swapper.Push(t.Context(), db, bytes.NewReader(sound), opts); err != nil {
					t.Fatal(err)
				}
				if warnings := fmt.Sprint(status(t, newTestClient(t, s)).Warnings); strings.Contains(warnings, "damaged") {
					t.Errorf("after a push it warns %s", warnings)
				}
			})
		}
	}
}

// openSound returns the bytes of a database.
func openSound(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sound")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (v)"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
