package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestAPushWhilePoolsCloseDoesNotHarm(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	_, err := s.push(source(t, "new"), swapper.PushOptions{
		Notify: func(e swapper.Event) {
			if e.Step == swapper.StepIntegrityPassed {
				s.pool.Close()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.pool, err = sql.Open(driver.Name, s.path); err != nil {
		t.Fatal(err)
	}
	defer s.pool.Close()
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
}

// TestAPushThatMeetsAFileReplacedMeanwhileLeavesThatOne: somebody was faster,
// with mv.
func TestAPushThatMeetsAFileReplacedMeanwhileLeavesThatOne(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			s.exec("INSERT INTO items (stamp) VALUES ('live')")
			faster := filepath.Join(s.dir, "faster.sqlite3")
			makeDatabase(t, faster, "faster", 100)
			r, err := s.push(source(t, "new"), swapper.PushOptions{Method: method, Validate: func(context.Context, *sql.DB) error {
				return os.Rename(faster, s.path)
			}})
			if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "something else replaced") || r.Swapped {
				t.Errorf("%+v, %v", r, err)
			}
			testenv.Eventually(t, func() error {
				if s.stamp() != "faster" || s.db.Generation() != 2 {
					return fmt.Errorf("%s, generation %d", s.stamp(), s.db.Generation())
				}
				return nil
			})
			var ok string
			if err := s.pool.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
				t.Error(ok, err)
			}
			s.onlyFiles()
			s.mustPush(source(t, "new"), swapper.PushOptions{})
		})
	}
}

// TestAProgramThatStartsOthersMayStillPushByRename: between fork and exec a
// child has copies of all descriptors, which is the business of no other test.
func TestAProgramThatStartsOthersMayStillPushByRename(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{}) {
		return
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	data := source(t, "new")
	stop := testenv.Loop(t, 2, func() error { return exec.Command("true").Run() })
	for range testenv.Sample(15, 60) {
		if _, err := s.push(data, swapper.PushOptions{Method: swapper.MethodRename}); err != nil {
			t.Error(err)
			break
		}
	}
	stop()
}
