package driver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

func TestATransactionIsNamedBeforeTheCallsThatWaitForIt(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			db, d := open(t, "&_journal="+journal, 1)
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := tx.Exec("UPDATE t SET v = 'mine'"); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := db.Exec("CREATE TABLE u (x)") // is not in the writers' queue; and of the two texts the first, when sorted
				ended <- err
			}()
			testenv.Until(t, "the call waits for the lock", func() bool { return d.Stats().Busy == 1 })
			_, err = d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 20 * time.Millisecond})
			var held *driver.HeldError
			if !errors.As(err, &held) {
				t.Fatal(err)
			}
			for what, all := range map[string][]driver.Holder{"the freeze": held.Holders, "status": d.Holders()} {
				if len(all) != 2 || all[0].Kind != driver.HoldTx || all[0].Waits || all[1].Kind != driver.HoldCall || !all[1].Waits {
					t.Errorf("%s: %+v", what, all)
				}
			}
			if text := err.Error(); !strings.HasSuffix(text, "(CREATE TABLE u (x)), which may only be waiting for that") {
				t.Error(text)
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACallThatOnlyReadsWaitsForNobody(t *testing.T) {
	db, d := open(t, "&_journal=WAL", 1)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	const long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"
	go db.ExecContext(t.Context(), long)
	testenv.Until(t, "it runs", func() bool { return d.Stats().Busy == 1 })
	for _, h := range d.Holders() {
		if h.Waits {
			t.Errorf("%+v", h)
		}
	}
}

func TestWhatIsHeldForLongIsKnownToTheFirstWhoAsks(t *testing.T) {
	t.Parallel()
	db, d := open(t, "", 1)
	rows, err := db.Query("SELECT * FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ticks := driver.Ticks(d)
	testenv.Until(t, "the driver has looked", func() bool { return driver.Ticks(d) > ticks+1 })
	if got := d.Holders(); len(got) != 1 || got[0].Kind != driver.HoldRows || got[0].For == 0 {
		t.Errorf("got %+v", got)
	}
}
