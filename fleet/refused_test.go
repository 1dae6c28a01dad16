package fleet

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/internal/fleetview"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

func TestAVersionWithAnotherSchemaIsRefusedInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	path := content(t, "catalog@2")
	alter(t, path, "ALTER TABLE catalog ADD COLUMN more TEXT")
	if _, err := w.repo.Publish(t.Context(), "catalog", path, repository.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	w.rollout(2, rollout.Plan{})
	why := fleetview.Failures(w.phase(rollout.Halted, 2).Failed)
	if !strings.Contains(why, "a: prepare catalog@2:") || !strings.Contains(why, "schema") || !strings.Contains(why, "catalog") {
		t.Error(why)
	}
	a.has(1)
	if s := a.status(); !strings.Contains(s.Failed, "schema differs from the live one") || strings.Contains(s.Failed, "--skip") {
		t.Errorf("%+v", s)
	}
}

// What a program writes while its Health is at work was acknowledged like any other write.
func TestWhatIsWrittenBeforeHealthAnswersIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	writes := true
	var a *program
	a = w.program("a", one, func(c *Config) {
		c.Health = func(_ context.Context, v Version) error {
			if v.Number != 2 || !writes {
				return nil
			}
			writes = false
			_, err := a.db.Exec("INSERT INTO catalog VALUES ('written', NULL)")
			return err
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Done, 2)
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	if why := fleetview.Failures(w.phase(rollout.Halted, 3).Failed); !strings.Contains(why, "written to since catalog@2") {
		t.Error(why)
	}
	a.has(2)
}

// A version that was followed by the next before anybody had found it in order is none to go
// back to.
func TestANodeGoesBackToWhatWasInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	asked := make(chan struct{}, 1)
	a := w.program("a", one, func(c *Config) {
		c.Health = func(ctx context.Context, v Version) error {
			switch v.Number {
			case 1:
				return nil
			case 2:
				asked <- struct{}{}
				<-ctx.Done()
			}
			return errors.New("prices are gone")
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	<-asked
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	w.phase(rollout.Halted, 3)
	a.has(1)
}

func alter(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// TestTheLogSaysWhyANodeGoesBack, when it does, and not only that it did.
func TestTheLogSaysWhyANodeGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	a := w.program("a", one, func(c *Config) {
		c.Logger = zerolog.New(log)
		c.Health = func(_ context.Context, v Version) error {
			if v.Number == 2 {
				return errors.New("prices are gone")
			}
			return nil
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Halted, 2)
	a.has(1)
	var text []byte
	eventually(t, "the log says that it went back", func() bool {
		text, err = os.ReadFile(path)
		return err != nil || bytes.Contains(text, []byte("went back"))
	})
	if why := bytes.Index(text, []byte("prices are gone")); err != nil || why < 0 || why > bytes.Index(text, []byte("went back")) {
		t.Errorf("%v: %s", err, text)
	}
}
