package sockserver

import (
	"fmt"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

func TestTheStatusWarnsOfAnOlderSQLite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, mode, opens, number, source string
		warns                             bool
	}{
		{"older", "WAL", "<>", "3.40.1", "2022-12-28 14:03:47", true},
		{"reading", "WAL", "<", "3.40.1", "2022-12-28 14:03:47", false},
		{"fixed", "WAL", "<>", "3.44.6", "2026-03-13 10:00:00", false},
		{"rollback", "DELETE", "<>", "3.40.1", "2022-12-28 14:03:47", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := shortDir(t)
			db := openDatabase(t, dir+"/db", 1)
			if _, err := db.Exec("PRAGMA journal_mode=" + test.mode); err != nil {
				t.Fatal(err)
			}
			other := testenv.StartWith(t, testenv.WithSQLite(t, test.number, test.source), test.opens, dir+"/db")
			s := startServer(t, dir, Config{}, nil)
			list, err := newTestClient(t, s).Databases(t.Context(), dir+"/db")
			if err != nil {
				t.Fatal(err)
			}
			info := list[0]
			pid := other.Process.Pid
			if want := fmt.Sprintf("[process %d (other) with SQLite %s]", pid, test.number); fmt.Sprint(info.OpenIn) != want {
				t.Errorf("it is open in %v, not in %s", info.OpenIn, want)
			}
			said := strings.Join(info.Warnings, "\n")
			if warns := strings.Contains(said, fmt.Sprintf("process %d (other) has SQLite %s, which can lose", pid, test.number)); warns != test.warns {
				t.Errorf("it warns %q", said)
			}
		})
	}
}
