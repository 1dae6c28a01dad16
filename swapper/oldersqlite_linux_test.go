package swapper_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestAPushWarnsOfAnOlderSQLite(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		s := start(t, t.TempDir(), "&_journal="+mode)
		other := testenv.StartWith(t, testenv.WithSQLite(t, "3.40.1", "2022-12-28 14:03:47"), s.path)
		var log bytes.Buffer
		if r := s.mustPush(source(t, "new"), swapper.PushOptions{Logger: zerolog.New(&log)}); r.Method != swapper.MethodInPlace {
			t.Errorf("%s: replaced by %s", mode, r.Method)
		}
		if said := strings.Count(log.String(), "(other) has SQLite 3.40.1, which can lose"); said != map[string]int{"WAL": 1}[mode] {
			t.Errorf("%s: warned %d times: %s", mode, said, &log)
		}
		other.End()
	}
}
