package testapp

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDigestsTellDatabasesApartByTheirRowsAndNotByTheirOrder(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, statements ...string) map[string]Digest {
		path := filepath.Join(dir, name)
		mustExec(t, path, `CREATE TABLE "odd ""name" (a, b); CREATE TABLE other (c); CREATE VIEW v AS SELECT * FROM other`)
		for _, s := range statements {
			mustExec(t, path, s)
		}
		return digests(t, path)
	}
	first := make("first", `INSERT INTO "odd ""name" VALUES (1, 'x'), (2, NULL), (2, NULL)`)
	for name, c := range map[string]struct {
		insert string
		want   []string
	}{
		"another order":     {`(2, NULL), (1, 'x'), (2, NULL)`, nil},
		"a row less":        {`(1, 'x'), (2, NULL)`, []string{`odd "name`}},
		"another type":      {`('1', 'x'), (2, NULL), (2, NULL)`, []string{`odd "name`}},
		"a real number":     {`(1.0, 'x'), (2, NULL), (2, NULL)`, []string{`odd "name`}},
		"a blob":            {`(1, x'78'), (2, NULL), (2, NULL)`, []string{`odd "name`}},
		"columns exchanged": {`('x', 1), (2, NULL), (2, NULL)`, []string{`odd "name`}},
	} {
		got := differences(first, make(strings.ReplaceAll(name, " ", "-"), `INSERT INTO "odd ""name" VALUES `+c.insert))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the tables %q differ, want %q", name, got, c.want)
		}
	}
	second := make("second", `INSERT INTO "odd ""name" VALUES (1, 'x'), (2, NULL), (2, NULL)`, `CREATE TABLE extra (d)`, `DROP VIEW v; DROP TABLE other`)
	if got := differences(first, second); !slices.Equal(got, []string{"extra", "other"}) {
		t.Errorf("the tables %q differ", got)
	}
}

func TestInspectRefusesAFileOfTwoGenerations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := (Fixture{Size: 1, Tables: 2}).Make(t.Context(), path, 4); err != nil {
		t.Fatal(err)
	}
	mustExec(t, path, insertWrite, "w", 1, 1, 1)
	if got, err := Inspect(t.Context(), path); err != nil || got.Generation != 4 || got.Writes != 1 || got.Tables != 6 {
		t.Errorf("got %+v, %v", got, err)
	}
	mustExec(t, path, `UPDATE testapp_generation SET generation = 3 WHERE id = 9`)
	if _, err := Inspect(t.Context(), path); err == nil || !strings.Contains(err.Error(), "mixed") {
		t.Errorf("got %v", err)
	}
}
