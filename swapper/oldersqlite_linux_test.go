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
	for _, test := range []struct {
		mode, opens string
		warnings    int
	}{{"WAL", "<>", 1}, {"WAL", "<", 0}, {"DELETE", "<>", 0}} {
		s := start(t, t.TempDir(), "&_journal="+test.mode)
		other := testenv.StartWith(t, testenv.WithSQLite(t, "3.40.1", "2022-12-28 14:03:47"), test.opens, s.path)
		var log bytes.Buffer
		told := 0
		r := s.mustPush(source(t, "new"), swapper.PushOptions{Logger: zerolog.New(&log), Notify: func(e swapper.Event) {
			if e.Step == swapper.StepOlderSQLite {
				told++
			}
		}})
		if r.Method != swapper.MethodInPlace {
			t.Errorf("%+v: replaced by %s", test, r.Method)
		}
		if said := strings.Count(log.String(), "(other) has SQLite 3.40.1, which can lose"); said != test.warnings || told != said {
			t.Errorf("%+v: warned %d times, and in %d status lines: %s", test, said, told, &log)
		}
		other.End()
	}
}
