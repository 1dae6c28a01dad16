package browser

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"testing"

	"hotswap/sockserver"
)

var mayPush = sockserver.Config{UI: sockserver.UI{AllowPush: true}}

func TestAPushFromThePageIsLiveAndCanBeTakenBack(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	b := open(t, p.url())
	b.sees("article", "production.sqlite3", "Generation\n1")
	b.choose(p.file(t, "new.sqlite3", "new"))
	b.press("Push to production.sqlite3")
	b.sees(".result", "The new database is live", "rename", "production.sqlite3~")
	if name := p.name(t); name != "new" {
		t.Errorf("it holds %q", name)
	}
	b.sees("#log", "push started: new.sqlite3 to "+p.path, "integrity check passed", "gate open: calls resume")
	b.sees("article .figures", "Generation\n2")
	b.sees(".swaps", "Pauses of the latest swaps")
	b.sees(".backup", "production.sqlite3~")
	b.picture("pushed")

	b.press("Go back to the backup")
	b.press("Check only")
	b.sees(".result", "Checked: it can be pushed")
	b.press("Go back, replacing production.sqlite3")
	b.sees(".result", "The new database is live", "Generation\n3")
	if name := p.name(t); name != "old" {
		t.Errorf("it holds %q", name)
	}
	b.silent()
}

func TestADryRunShowsHowTheSchemasDifferAndReplacesNothing(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	b := open(t, p.url())
	b.choose(p.file(t, "wider.sqlite3", "wide", "ALTER TABLE item ADD COLUMN colour TEXT", "CREATE INDEX by_name ON item (name)"))
	b.press("Check only")
	b.sees(".result", "Refused: the schema differs", "--skip-schema-check", "index by_name", "only in the new one", "table item", "live", "new")
	if marked := eval[string](b, `[...document.querySelectorAll(".differences li:last-child ins")].map((e) => e.textContent).join("")`); marked != ", colour TEXT" && marked != ",colour TEXT" && marked != "colour TEXT," {
		t.Errorf("marked is %q", marked)
	}
	b.picture("refused-schema")
	b.tick("Accept another schema")
	b.press("Check only")
	b.sees(".result", "Checked: it can be pushed. Nothing was replaced.")
	b.picture("dry-run")
	if name := p.name(t); name != "old" {
		t.Errorf("a dry run replaced it: it holds %q", name)
	}
	b.press("Push to")
	b.sees(".result", "The new database is live")
	if name := p.name(t); name != "wide" {
		t.Errorf("it holds %q", name)
	}
	b.silent("422") // the browser notes the refusal on the console
}

func TestARefusalIsShownInWords(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	b := open(t, p.url())
	b.choose(p.notes(t))
	b.press("Push to")
	b.sees(".result", "Refused: the database is bad", "not an SQLite database", "unchanged")
	b.sees("#log", "failed: ", "not an SQLite database")
	b.picture("refused")
	if name := p.name(t); name != "old" {
		t.Errorf("it holds %q", name)
	}
}

func TestAPushShowsHowFarItIsAndWhatHoldsItUp(t *testing.T) {
	validating, validate := make(chan struct{}, 1), make(chan struct{})
	cfg := mayPush
	cfg.Validate = func(ctx context.Context, _ *sql.DB) error {
		validating <- struct{}{}
		select {
		case <-validate:
			return nil
		case <-ctx.Done(): // the test has failed
			return ctx.Err()
		}
	}
	p := start(t, "production.sqlite3", cfg)
	tx, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE item SET name = name || ' and more' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	b := open(t, p.url())
	b.sees(".holders", "transaction", "UPDATE item SET name")
	b.choose(p.file(t, "new.sqlite3", "new"))
	b.press("Push to")
	<-validating
	b.sees(".progress", "running the program's validation", "Stop")
	b.sees(".steps", "push started", "received", "integrity check passed")
	b.picture("pushing")
	close(validate)
	b.sees(".steps", "gate open again")
	b.picture("held")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	b.sees(".result", "The new database is live")
	b.sees("article", "Held\n0")
	b.gone("div.holders table")
	b.silent()
}

func TestAPushIsStopped(t *testing.T) {
	validating := make(chan struct{}, 1)
	cfg := mayPush
	cfg.Validate = func(ctx context.Context, _ *sql.DB) error {
		validating <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	p := start(t, "production.sqlite3", cfg)
	b := open(t, p.url())
	b.choose(p.file(t, "new.sqlite3", "new"))
	b.press("Push to")
	<-validating
	b.press("Stop")
	b.sees(".result", "Failed: ", "unchanged")
	if name := p.name(t); name != "old" {
		t.Errorf("it holds %q", name)
	}
}

func TestAFileMayBeDroppedOnADatabase(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	b := open(t, p.url())
	b.sees("article", "Push a database")
	data, err := os.ReadFile(p.file(t, "new.sqlite3", "new"))
	if err != nil {
		t.Fatal(err)
	}
	eval[bool](b, fmt.Sprintf(`(() => {
		const carried = new DataTransfer();
		carried.items.add(new File([Uint8Array.from(atob(%q), (c) => c.charCodeAt(0))], "dropped.sqlite3"));
		return document.querySelector("article").dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: carried }));
	})()`, base64.StdEncoding.EncodeToString(data)))
	b.sees(".source", "dropped.sqlite3")
	b.press("Push to")
	b.sees(".result", "The new database is live")
	if name := p.name(t); name != "new" {
		t.Errorf("it holds %q", name)
	}
	b.silent()
}
