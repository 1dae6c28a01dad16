package interrupt_test

import (
	"database/sql/driver"
	"errors"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
)

// TestTheHandleIsKnown fails if a future go-sqlite3 stores the connection differently.
func TestTheHandleIsKnown(t *testing.T) {
	for _, name := range []string{":memory:", ":memory:?_mutex=no"} {
		opened, err := (&sqlite3.SQLiteDriver{}).Open(name)
		if err != nil {
			t.Fatal(err)
		}
		c := opened.(*sqlite3.SQLiteConn)
		h, ok := interrupt.Of(c)
		if !ok {
			t.Fatalf("%s: no handle", name)
		}
		running := make(chan struct{})
		if err := c.RegisterFunc("running", func() int { close(running); return 1 }, false); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := c.Exec("WITH RECURSIVE n(i) AS (SELECT running() UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", nil)
			ended <- err
		}()
		<-running
		h.Interrupt()
		h.AwaitStep()
		var se sqlite3.Error
		if err := <-ended; !errors.As(err, &se) || se.Code != sqlite3.ErrInterrupt {
			t.Errorf("%s: %v", name, err)
		}
		h.AwaitStep()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, ok := interrupt.Of(c); ok {
			t.Errorf("%s: a handle of a closed connection", name)
		}
	}
}

func TestATransactionIsKnownOnceItReads(t *testing.T) {
	opened, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	c := opened.(*sqlite3.SQLiteConn)
	h, _ := interrupt.Of(c)
	for _, step := range []struct {
		text string
		want bool
	}{
		{"CREATE TABLE t (x)", false},
		{"BEGIN", false},
		{"INSERT INTO t VALUES (1)", true},
		{"COMMIT", false},
		{"BEGIN IMMEDIATE", true},
		{"ROLLBACK", false},
	} {
		if _, err := c.Exec(step.text, nil); err != nil {
			t.Fatal(err)
		}
		if began, known := h.Transacts(); began != step.want || !known {
			t.Errorf("after %s: %t, known: %t", step.text, began, known)
		}
	}
}

// TestAnInterruptIsPendingWhileAStatementIsActive, and no longer.
func TestAnInterruptIsPendingWhileAStatementIsActive(t *testing.T) {
	opened, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	c := opened.(*sqlite3.SQLiteConn)
	h, _ := interrupt.Of(c)
	_, number, _ := sqlite3.Version()
	is := func(when string, want, active bool) {
		t.Helper()
		says := number >= 3041000 || !active
		if pending, known := h.Interrupted(); pending != (want && says) || known != says {
			t.Errorf("%s: pending: %t, known: %t", when, pending, known)
		}
	}
	rows, err := c.Query("SELECT 1 UNION ALL SELECT 2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Next(make([]driver.Value, 1)); err != nil {
		t.Fatal(err)
	}
	is("while rows are read", false, true)
	h.Interrupt()
	is("interrupted", true, true)
	rows.Close()
	is("once they are closed", false, false)
}
