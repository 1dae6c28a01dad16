package bench

import (
	"cmp"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"hotswap/sockserver"
)

var sqliteRsync = flag.String("sqlite3_rsync", "", "the `program` of that name to compare with, which must run on both sides")

// changes are what a database went through since its copy was made, as SQL; part of n rows,
// of which about rowsPerPage are on a page.
var changes = []struct{ name, sql string }{
	{"nothing", ""},
	{"random=0.1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 1000) < 1"},
	{"random=1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 100) < 1"},
	{"random=10%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 10) < 1"},
	{"random=100%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0"},
	{"clustered=1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id BETWEEN 100000 AND 100000 + (SELECT max(id) / 100 FROM t)"},
	{"clustered=10%", "UPDATE t SET body = hex(randomblob(350)) WHERE id BETWEEN 20000 AND 20000 + (SELECT max(id) / 10 FROM t)"},
	{"inserts=1%", "INSERT INTO t (body) SELECT hex(randomblob(350)) FROM t WHERE id % 100 = 0"},
	{"vacuum", "DELETE FROM t WHERE id % 100 = 0; VACUUM"},
}

// BenchmarkDifference brings a database to another machine, and from it, that has an older
// copy: by hotswap, whole and not, and by what else does that. It says what the cable
// carried, and how long it took, with an sshd of its own and no check of the database.
func BenchmarkDifference(b *testing.B) {
	dir := b.TempDir()
	exe := filepath.Join(dir, "bin", "hotswap")
	if err := command("go", "build", "-o", exe, "hotswap/cmd/hotswap"); err != nil {
		b.Fatal(err)
	}
	net := newNetwork(b, exe)
	b.Setenv("HOTSWAP_SSH", "ssh -F "+net.at("ssh_config"))
	app := filepath.Join(dir, "app")
	if err := os.MkdirAll(app, 0o700); err != nil {
		b.Fatal(err)
	}
	mb, rates, wanted := 20, []int{1000}, changes[1:3]
	if *large {
		mb, rates, wanted = 1000, []int{10, 100, 1000}, changes
	}
	base := rows(b, mb)
	live := managedCopy(b, base, app, "WAL")
	server, err := sockserver.Start(sockserver.Config{SocketPath: filepath.Join(app, sockserver.DefaultSocketPath)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	shell := func(format string, args ...any) func() error {
		return func() error { return command("sh", "-c", fmt.Sprintf(format, args...)) }
	}
	sameAs := func(what, as string) func() error {
		return shell("'%s' cp -q --skip-integrity-check '%s' '%s'", exe, as, what)
	}
	for _, change := range wanted {
		b.Run(change.name, func(b *testing.B) {
			changed, there, here := filepath.Join(dir, "changed"), filepath.Join(dir, "there"), filepath.Join(dir, "here")
			if err := errors.Join(command("cp", base, changed), changeRows(changed, change.sql)); err != nil {
				b.Fatal(err)
			}
			older := func(path string) func() error { return func() error { return command("cp", base, path) } }
			ssh := "ssh -F " + net.at("ssh_config")
			ways := []struct {
				name, tool    string // "": one that is there
				prepare, move func() error
			}{
				{"push", "", sameAs(live.Path(), base), shell("'%s' cp -q --skip-integrity-check '%s' 'far:%s'", exe, changed, live.Path())},
				{"pull", "", func() error { return errors.Join(sameAs(live.Path(), changed)(), older(here)()) },
					shell("'%s' cp -q 'far:%s' '%s'", exe, live.Path(), here)},
				{"rsync", "rsync", older(there), shell("rsync -z --inplace -e '%s' '%s' 'far:%s'", ssh, changed, there)},
				{"sqlite3_rsync", cmp.Or(*sqliteRsync, "sqlite3_rsync"), older(there), shell("'%s' --ssh '%s' --exe '%[1]s' '%[3]s' 'far:%[4]s'", *sqliteRsync, net.at("ssh"), changed, there)},
				{"push-whole", "", sameAs(live.Path(), base), shell("'%s' cp -q --whole --skip-integrity-check '%s' 'far:%s'", exe, changed, live.Path())},
				{"cat", "", older(there), shell("cat '%s' | %s far 'cat >%s'", changed, ssh, there)},
				{"zstd", "zstd", older(there), shell("zstd -qc '%s' | %s far 'zstd -qdc >%s'", changed, ssh, there)},
			}
			net.write("ssh", "#!/bin/sh", "exec "+ssh+` "$@"`)
			os.Chmod(net.at("ssh"), 0o700)
			for _, mbit := range rates {
				net.rate(b, mbit)
				for _, way := range ways {
					b.Run(fmt.Sprintf("%dMbit/%s", mbit, way.name), func(b *testing.B) {
						if way.tool != "" {
							if _, err := osexec.LookPath(way.tool); err != nil {
								b.Skipf("nothing to compare with: %v", err)
							}
						}
						var carried int64
						var took time.Duration
						for b.Loop() {
							if err := way.prepare(); err != nil {
								b.Fatal(err)
							}
							before, began := net.carried(b), time.Now()
							if err := way.move(); err != nil {
								b.Fatal(err)
							}
							took += time.Since(began)
							carried += net.carried(b) - before
						}
						b.ReportMetric(0, "ns/op")
						b.ReportMetric(float64(carried)/1e6/float64(b.N), "MB")
						b.ReportMetric(took.Seconds()/float64(b.N), "s")
					})
				}
			}
		})
	}
}

// rows makes a database of about so many megabytes, five rows on a page, whose text
// compresses to a little more than a half.
func rows(b *testing.B, mb int) string {
	b.Helper()
	dir := *sampleDir
	if dir == "" {
		dir = b.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprint("rows-", mb, "MB.sqlite3"))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	err := changeRows(path, fmt.Sprintf(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
		WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < %d) INSERT INTO t SELECT n, hex(randomblob(350)) FROM i`, mb*1e6/(4096/5)))
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func changeRows(path, query string) error {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal=OFF&_sync=OFF&_locking=EXCLUSIVE&_cache_size=-400000")
	if err != nil {
		return err
	}
	_, err = db.Exec(query)
	return errors.Join(err, db.Close())
}
