package swapper_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestAReaderThatOutlastsTheTimeoutDoesNotFailAPush: it goes on reading the old
// content, while all others see the new one.
func TestAReaderThatOutlastsTheTimeoutDoesNotFailAPush(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	rows := s.openRows("SELECT stamp FROM items")
	data := sourceWith(t, "new", 9<<20)
	r := s.mustPush(data, swapper.PushOptions{Timeout: 50 * time.Millisecond})
	if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "SELECT stamp FROM items") {
		t.Errorf("%+v", r)
	}
	if s.stamp() != "new" {
		t.Errorf("others read %s", s.stamp())
	}
	n := 1
	for rows.Next() {
		var stamp string
		if err := rows.Scan(&stamp); err != nil || stamp != "live" {
			t.Fatal(stamp, err)
		}
		n++
	}
	if n != 200 || rows.Err() != nil {
		t.Errorf("the reader got %d rows of 200, %v", n, rows.Err())
	}
	rows.Close()
	// The WAL, as large as the database, could not be cut while it read.
	testenv.Eventually(t, func() error {
		if wal, err := os.Stat(s.path + "-wal"); err == nil && wal.Size() > 4<<20 {
			return fmt.Errorf("the WAL still has %d bytes", wal.Size())
		}
		return nil
	})
	if digest(t, s.pool) != contentOf(t, data) {
		t.Error("the live content is not what was pushed")
	}
}

// TestWritesWaitWhileTheContentIsWrittenInPlaceAndNoneFails uses a busy timeout
// that is over long before the copy is. Without any, readers and writers that
// meet fail each other now and then, copy or not.
func TestWritesWaitWhileTheContentIsWrittenInPlaceAndNoneFails(t *testing.T) {
	t.Parallel()
	for _, txlock := range []string{"immediate", "deferred"} {
		t.Run(txlock, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL&_busy_timeout=10&_txlock="+txlock)
			s.pool.SetMaxOpenConns(8)
			s.pool.SetMaxIdleConns(8)
			var stops []func()
			var writing sync.Mutex // one of the program's writers at a time, as with so short a timeout it has to be
			loop := func(what string, call func() error) {
				stops = append(stops, testenv.Loop(t, 1, func() error {
					if err := call(); err != nil {
						return fmt.Errorf("%s: %w", what, err)
					}
					return nil
				}))
			}
			insert, err := s.pool.Prepare("INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1")
			if err != nil {
				t.Fatal(err)
			}
			defer insert.Close()
			loop("exec", func() error {
				writing.Lock()
				defer writing.Unlock()
				_, err := s.pool.Exec("INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1")
				return err
			})
			loop("prepared exec", func() error {
				writing.Lock()
				defer writing.Unlock()
				_, err := insert.Exec()
				return err
			})
			loop("insert returning", func() error {
				writing.Lock()
				defer writing.Unlock()
				var id int
				return s.pool.QueryRow("WITH s AS (SELECT stamp FROM items LIMIT 1) INSERT INTO items (stamp) SELECT stamp FROM s RETURNING id").Scan(&id)
			})
			loop("transaction", func() error {
				writing.Lock()
				defer writing.Unlock()
				tx, err := s.pool.Begin()
				if err != nil {
					return fmt.Errorf("begin: %w", err)
				}
				defer tx.Rollback()
				var stamp string
				if err := tx.QueryRow("SELECT stamp FROM items LIMIT 1").Scan(&stamp); err != nil {
					return fmt.Errorf("select: %w", err)
				}
				if _, err := tx.Exec("INSERT INTO items (stamp) VALUES (?)", stamp); err != nil {
					return fmt.Errorf("insert: %w", err)
				}
				return tx.Commit()
			})
			// A reader that meets a commit takes the write lock for a moment, and SQLite
			// calls no busy handler for a deferred transaction that wants to write.
			if txlock == "immediate" {
				loop("read", func() error {
					var stamps string
					err := s.pool.QueryRow("-- a comment first\nSELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamps)
					if err == nil && strings.Contains(stamps, ",") {
						err = fmt.Errorf("a mixture: %s", stamps)
					}
					return err
				})
			}
			for i := range testenv.Sample(2, 3) {
				r := s.mustPush(sourceWith(t, strconv.Itoa(i), 9<<20), inPlace)
				if got := s.stamp(); got != strconv.Itoa(i) {
					t.Errorf("stamp %s after push %d", got, i)
				}
				t.Logf("writes waited %v, holders %v", r.Pause, r.Holders)
			}
			for _, stop := range stops {
				stop()
			}
		})
	}
}

func TestAnOpenTransactionIsWaitedForAndALongOneReadsTheOldToItsEnd(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL&_txlock=deferred")
	tx, err := s.pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	read := func() (stamp string) {
		if err := tx.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil {
			t.Error(err)
		}
		return stamp
	}
	read()
	r := s.mustPush(source(t, "new"), swapper.PushOptions{Method: swapper.MethodInPlace, MaxPause: 20 * time.Millisecond})
	if len(r.Holders) != 1 || r.Holders[0].Kind != driver.HoldTx {
		t.Errorf("the report names %v", r.Holders)
	}
	if got := read(); got != "live" || s.stamp() != "new" {
		t.Errorf("the transaction reads %s, others %s", got, s.stamp())
	}
	// What it read is gone: it must not write on the strength of that.
	if _, err := tx.Exec("INSERT INTO items (stamp) VALUES ('live')"); err == nil {
		t.Error("a transaction that began on the old content wrote into the new one")
	}
	tx.Rollback()
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
}

func TestABusyWriterInAnotherProcessRefusesThePushByName(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_busy_timeout=60000&_journal="+mode)
			o := startOther(t, "file:"+s.path)
			o.must("BEGIN IMMEDIATE")
			o.must("INSERT INTO items (stamp) VALUES ('live')")
			begun := make(chan error)
			go func() { // waits for the other's lock, too
				tx, err := s.pool.Begin()
				if err == nil {
					err = tx.Rollback()
				}
				begun <- err
			}()
			testenv.Until(t, "the transaction begins", func() bool {
				return slices.ContainsFunc(s.db.Holders(), func(h driver.Holder) bool { return h.Query == "BEGIN" })
			})
			says := s.refuses(swapper.PushOptions{Timeout: 200 * time.Millisecond}, swapper.ErrBusy,
				"process "+strconv.Itoa(o.Process.Pid), "--timeout", "by rename it can't be done")
			if mode == "WAL" && strings.Contains(says.Error(), "BEGIN") {
				t.Errorf("one that waits itself is blamed: %v", says)
			}
			o.must("COMMIT")
			if err := <-begun; err != nil {
				t.Error(err)
			}
			if got := o.must("SELECT count(*) FROM items"); got != "201" {
				t.Errorf("the other process's write is gone: %s", got)
			}
			r := s.mustPush(source(t, "new"), swapper.PushOptions{})
			if r.Method != swapper.MethodInPlace || o.must("SELECT group_concat(DISTINCT stamp) FROM items") != "new" {
				t.Errorf("%+v", r)
			}
			o.quit()
			s.onlyFiles()
		})
	}
}

// TestAPushThatGoesInPlaceAtTheTimeoutDoesNotWaitForThatOnceMore: the timeout is of
// the whole push.
func TestAPushThatGoesInPlaceAtTheTimeoutDoesNotWaitForThatOnceMore(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.openTx("UPDATE items SET stamp = stamp")
	attempts := 0 // in place, of which there is time for many within the timeout
	s.refuses(swapper.PushOptions{Timeout: time.Second, MaxPause: 20 * time.Millisecond, Notify: func(e swapper.Event) {
		if e.Step == swapper.StepWritesWait {
			attempts++
		}
	}}, swapper.ErrBusy, "UPDATE items")
	if attempts == 0 || attempts > 2 {
		t.Errorf("%d attempts in place after the timeout", attempts)
	}
}

// TestTheTimeoutBoundsBothMethodsTogether: a transaction that writes is in the way of a
// rename, and then of writing in place.
func TestTheTimeoutBoundsBothMethodsTogether(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			tx := s.openTx("INSERT INTO items (stamp) VALUES ('half')")
			defer tx.Rollback()
			r, err := s.push(source(t, "new"), swapper.PushOptions{Timeout: timeout, Method: method})
			held, ok := errors.AsType[*driver.HeldError](err)
			if !ok || !errors.Is(err, swapper.ErrBusy) || (r.InPlaceBecause == "") != (method == swapper.MethodRename) {
				t.Fatalf("%+v: %v", r, err)
			}
			if held.Waited < timeout {
				t.Errorf("it says that it waited for %s, not for all of the %s", held.Waited, timeout)
			}
			var waited time.Duration
			for _, phase := range r.Phases {
				if phase.Name == "wait" || phase.Name == "copy" {
					waited += phase.Took
				}
			}
			if waited > timeout*3/2 {
				t.Errorf("with a timeout of %s it waited for %s", timeout, waited)
			}
		})
	}
}
