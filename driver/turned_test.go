package driver_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// releases are directories with a database each, and a link to one of them.
type releases struct {
	t   *testing.T
	dir string
}

func makeReleases(t *testing.T, names ...string) *releases {
	r := &releases{t, t.TempDir()}
	for _, name := range names {
		r.make(name)
	}
	r.turn(names[0])
	return r
}

func (r *releases) path(release string) string { return filepath.Join(r.dir, release, "live.db") }
func (r *releases) name() string               { return r.path("current") }

func (r *releases) make(release string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Join(r.dir, release), 0o700); err != nil {
		r.t.Fatal(err)
	}
	os.Remove(r.path(release))
	db, err := sql.Open("sqlite3", r.path(release)+"?_journal=WAL")
	if err != nil {
		r.t.Fatal(err)
	}
	mustExec(r.t, db, "CREATE TABLE t (stamp); INSERT INTO t VALUES ('"+release+"')")
	db.Close()
}

func (r *releases) turn(release string) {
	r.t.Helper()
	next := filepath.Join(r.dir, "next")
	if err := os.Symlink(release, next); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(r.dir, "current")); err != nil {
		r.t.Fatal(err)
	}
}

// TestAnAttachByATurnedNameGoesWithItsDatabase: nobody opens what the name leads to now
// before the database has moved there, and never while it is incomplete.
func TestAnAttachByATurnedNameGoesWithItsDatabase(t *testing.T) {
	t.Parallel()
	attach := func(name string) string { return "ATTACH '" + name + "' AS live" }
	for how, open := range map[string]func(t *testing.T, name string) *sql.DB{
		"text": func(t *testing.T, name string) *sql.DB {
			pool := openPool(t, driver.Name)
			pool.SetMaxOpenConns(1)
			mustExec(t, pool, attach(name))
			return pool
		},
		"hook": func(t *testing.T, name string) *sql.DB {
			registered := "attaches " + name
			sql.Register(registered, driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				_, err := c.Exec(attach(name), nil)
				return err
			})))
			pool := openPool(t, registered)
			pool.SetMaxIdleConns(-1)
			return pool
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := makeReleases(t, "rel1", "rel2")
			pool, err := sql.Open(driver.Name, r.name())
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			pool.SetMaxOpenConns(2)
			if got := stamps(t, pool); got != "rel1 1" {
				t.Fatal(got)
			}
			d, _ := driver.Lookup(r.name())
			other := open(t, r.name())
			attached := func() (stamp string, before, after uint64) {
				t.Helper()
				before = d.Generation()
				if err := other.QueryRow("SELECT stamp FROM live.t").Scan(&stamp); err != nil {
					t.Fatal(err)
				}
				return stamp, before, d.Generation()
			}
			if got, _, _ := attached(); got != "rel1" {
				t.Fatal(got)
			}
			r.turn("rel2")
			for {
				got, before, after := attached()
				if got == "rel2" && before == 2 {
					break
				}
				if got == "rel2" && after == 1 || got == "rel1" && before == 2 {
					t.Fatalf("%s in generation %d", got, before)
				}
			}
			if got := stamps(t, pool); got != "rel2 1" {
				t.Fatal(got)
			}
			// A broken one: the old one stays in use, for everybody.
			r.make("rel3")
			whole, err := os.ReadFile(r.path("rel3"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.path("rel3"), whole[:len(whole)/2], 0o600); err != nil {
				t.Fatal(err)
			}
			r.turn("rel3")
			testenv.Until(t, "a warning", func() bool { return inside.Of(d).CheckFile(t.Context()) != nil && d.Warning() != "" })
			if got := stamps(t, pool); got != "rel2 1" {
				t.Error(got)
			}
			if how == "text" {
				if got, _, _ := attached(); got != "rel2" {
					t.Error(got)
				}
			} else if err := other.Ping(); err == nil {
				t.Error("a connection was opened that attaches a file which is not whole")
			}
			if err := os.WriteFile(r.path("rel3"), whole, 0o600); err != nil {
				t.Fatal(err)
			}
			testenv.Until(t, "the whole file is served", func() bool { return stamps(t, pool) == "rel3 1" })
			if got, _, _ := attached(); got != "rel3" {
				t.Error(got)
			}
		})
	}
}

// TestATurnInAFreezeIsAReplacementLikeAnother: even if the file that the name leads to
// by the end is still being written, so that the database stays where it is for a
// moment.
func TestATurnInAFreezeIsAReplacementLikeAnother(t *testing.T) {
	t.Parallel()
	r := makeReleases(t, "rel1")
	pool, err := sql.Open(driver.Name, r.name())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if got := stamps(t, pool); got != "rel1 1" {
		t.Fatal(got)
	}
	d, _ := driver.Lookup(r.name())
	other := openPool(t, driver.Name)
	other.SetMaxIdleConns(-1)
	frozen, err := d.Freeze(t.Context(), driver.FreezeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.make("rel2")
	r.turn("rel2")
	frozen.Thaw()
	attach := func() (stamp string) {
		conn, err := other.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "ATTACH ? AS live", r.name()); err != nil {
			return err.Error()
		}
		if err := conn.QueryRowContext(t.Context(), "SELECT stamp FROM live.t").Scan(&stamp); err != nil {
			t.Error(err)
		}
		return stamp
	}
	if before, got := d.Generation(), attach(); got == "rel2" && d.Generation() == before && before == 1 {
		t.Errorf("%q in generation %d", got, before)
	}
	testenv.Until(t, "it is served", func() bool { return stamps(t, pool) == "rel2 1" })
	if got := attach(); got != "rel2" || d.Generation() != 2 {
		t.Errorf("%q in generation %d", got, d.Generation())
	}
}

// TestAPoolThatIsOpenedAgainByATurnedNameIsOfTheSameDatabase: even while something
// keeps that, as a push does, or has its file open, or while a pool has it under the
// same name.
func TestAPoolThatIsOpenedAgainByATurnedNameIsOfTheSameDatabase(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"nobody", "a push", "an attacher", "a pull", "a pool"} {
		t.Run(how, func(t *testing.T) {
			r := makeReleases(t, "rel1", "rel2")
			open := func() *sql.DB {
				pool, err := sql.Open(driver.Name, r.name())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { pool.Close() })
				return pool
			}
			first := open()
			if got := stamps(t, first); got != "rel1 1" {
				t.Error(got)
			}
			d, _ := driver.Lookup(r.name())
			switch how {
			case "a push":
				defer inside.Of(d).Keep()()
			case "an attacher": // beside it
				defer inside.Of(d).Keep()()
				mustExec(t, openPool(t, driver.Name), "ATTACH ? AS live", r.name()) // and the connection idles
			case "a pull":
				plain := inside.Of(d).OpenPlain("mode=rw")
				defer plain.Close()
				if got := stamps(t, plain); got != "rel1 1" {
					t.Error(got)
				}
			}
			if how != "a pool" {
				first.Close()
			}
			r.turn("rel2")
			second := open()
			if now, _ := driver.Lookup(r.name()); now != d {
				t.Error("another Database")
			}
			if got := stamps(t, second); got != "rel2 1" || d.Generation() != 2 || d.Path() != r.path("rel2") {
				t.Errorf("%s in generation %d of %s", got, d.Generation(), d.Path())
			}
		})
	}
}

// openPool opens another managed database.
func openPool(t *testing.T, registered string) *sql.DB {
	t.Helper()
	pool, err := sql.Open(registered, filepath.Join(t.TempDir(), "other.db")+"?_busy_timeout=300")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}
