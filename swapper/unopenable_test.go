package swapper_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"hotswap/swapper"
)

// TestASourceThatSQLiteCannotEvenOpenIsBad: what the header's other fields or the
// first page say is looked at by SQLite when it is opened, before any check runs.
func TestASourceThatSQLiteCannotEvenOpenIsBad(t *testing.T) {
	t.Parallel()
	damage := map[string]func(data []byte){
		"a fraction of the page":   func(data []byte) { data[21] = 0 },
		"the format of the schema": func(data []byte) { binary.BigEndian.PutUint32(data[44:], 9) },
		"the first page's sort":    func(data []byte) { data[100] = 200 },
		"the first page's cells":   func(data []byte) { binary.BigEndian.PutUint16(data[103:], 40000) },
		"the schema's text":        func(data []byte) { copy(data[strings.Index(string(data), "CREATE TABLE"):], "CREATE CABLE") },
	}
	settings := map[string]swapper.PushOptions{
		"whole":    {},
		"quick":    {Quick: true},
		"no check": {SkipIntegrityCheck: true},
		"prepared": {Prepare: func(context.Context, *sql.DB) error { return nil }},
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	for what, harm := range damage {
		data := made(t)
		harm(data)
		for how, opts := range settings {
			opts.SkipSchemaCheck, opts.DryRun = true, true
			_, err := s.push(data, opts)
			if !errors.Is(err, swapper.ErrBadDatabase) || errors.Is(err, swapper.ErrConstraint) {
				t.Errorf("%s, %s: %v", what, how, err)
				continue
			}
			for _, says := range []string{"the source", "the live database is unchanged", "copy the source again"} {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%s, %s: it does not say %q: %v", what, how, says, err)
				}
			}
		}
	}
}
