package fleet

import (
	"database/sql"
	"strings"
	"testing"

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
	halted := w.phase(rollout.Halted, 2)
	if !strings.Contains(halted.Reason, "a: prepare catalog@2:") || !strings.Contains(halted.Reason, "schema") || !strings.Contains(halted.Reason, "catalog") {
		t.Errorf("%s", halted.Reason)
	}
	a.has(1)
	if s := a.status(); !strings.Contains(s.Failed, "schema") {
		t.Errorf("%+v", s)
	}
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
