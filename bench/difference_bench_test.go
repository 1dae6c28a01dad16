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

type change struct{ name, sql string }

// everything is a change after which there is something new on each page.
const everything = "random=100%"

// changes are what a database went through since its copy was made, as SQL; part of n rows,
// of which about rowsPerPage are on a page.
var changes = []change{
	{"nothing", ""},
	{"random=0.1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 1000) < 1"},
	{"random=1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 100) < 1"},
	{"random=10%", "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0 AND abs(random() % 10) < 1"},
	{everything, "UPDATE t SET body = hex(randomblob(350)) WHERE id % 5 = 0"},
	{"clustered=1%", "UPDATE t SET body = hex(randomblob(350)) WHERE id BETWEEN (SELECT max(id) / 4 FROM t) AND (SELECT max(id) / 4 + max(id) / 100 FROM t)"},
	{"clustered=10%", "UPDATE t SET body = hex(randomblob(350)) WHERE id BETWEEN (SELECT max(id) / 4 FROM t) AND (SELECT max(id) / 4 + max(id) / 10 FROM t)"},
	{"inserts=1%", "INSERT INTO t (body) SELECT hex(randomblob(350)) FROM t WHERE id % 100 = 0"},
	{"vacuum", "DELETE FROM t WHERE id % 100 = 0; VACUUM"},
}

type line struct{ mb, mbit int }

// lines are what there is to carry, and how fast. A slow one has less of it: nothing takes
// more than half a minute.
var lines = []line{{40, 10}, {400, 100}, {400, 1000}, {1000, 1000}}

// BenchmarkDifference brings a database to another machine, and from it, that has an older
// copy: by hotswap, whole and not, and by what else does that. It says what the cable
// carried, and how long it took, with an sshd of its own and no check of the database.
// What carries everything, whatever has changed, does so once.
func BenchmarkDifference(b *testing.B) {
	exe := filepath.Join(b.TempDir(), "hotswap")
	if err := command("go", "build", "-o", exe, "hotswap/cmd/hotswap"); err != nil {
		b.Fatal(err)
	}
	net := newNetwork(b, exe)
	b.Setenv("HOTSWAP_SSH", "ssh -F "+net.at("ssh_config"))
	net.write("ssh", "#!/bin/sh", "exec ssh -F "+net.at("ssh_config")+` "$@"`)
	os.Chmod(net.at("ssh"), 0o700)
	wanted := changes
	if !*large {
		lines, wanted = []line{{20, 1000}}, changes[1:3]
	}
	for _, line := range lines {
		b.Run(fmt.Sprintf("%dMB/%dMbit", line.mb, line.mbit), func(b *testing.B) {
			net.rate(b, line.mbit)
			difference(b, net, exe, rows(b, line.mb), wanted)
		})
	}
}

func difference(b *testing.B, net *network, exe, base string, changes []change) {
	for _, change := range changes {
		b.Run(change.name, func(b *testing.B) {
			dir, err := os.MkdirTemp("", "hs") // a socket's path is short
			if err != nil {
				b.Fatal(err)
			}
			defer os.RemoveAll(dir)
			app := filepath.Join(dir, "app")
			changed, there, here := filepath.Join(dir, "changed"), filepath.Join(dir, "there"), filepath.Join(dir, "here")
			if err := errors.Join(os.Mkdir(app, 0o700), command("cp", base, changed), changeRows(changed, change.sql)); err != nil {
				b.Fatal(err)
			}
			live := managedCopy(b, base, app, "WAL")
			server, err := sockserver.Start(sockserver.Config{SocketPath: filepath.Join(app, sockserver.DefaultSocketPath)})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			shell := func(format string, args ...any) func() error {
				return func() error { return command("sh", "-c", fmt.Sprintf(format, args...)) }
			}
			liveIs := func(as string) func() error {
				return shell("'%s' cp -q --skip-integrity-check '%s' '%s'", exe, as, live.Path())
			}
			older := func(path string) func() error { return func() error { return command("cp", base, path) } }
			ssh := net.at("ssh")
			for _, way := range []struct {
				name, tool    string // "": one that is there
				always        bool   // it carries everything
				prepare, move func() error
			}{
				{"push", "", false, liveIs(base), shell("'%s' cp -q --skip-integrity-check '%s' 'far:%s'", exe, changed, live.Path())},
				{"pull", "", false, func() error { return errors.Join(liveIs(changed)(), older(here)()) },
					shell("'%s' cp -q 'far:%s' '%s'", exe, live.Path(), here)},
				{"rsync", "rsync", false, older(there), shell("rsync -z --inplace -e '%s' '%s' 'far:%s'", ssh, changed, there)},
				{"sqlite3_rsync", cmp.Or(*sqliteRsync, "sqlite3_rsync"), false, older(there),
					shell("'%s' --ssh '%s' --exe '%[1]s' '%[3]s' 'far:%[4]s'", *sqliteRsync, ssh, changed, there)},
				{"push-whole", "", true, liveIs(base), shell("'%s' cp -q --whole --skip-integrity-check '%s' 'far:%s'", exe, changed, live.Path())},
				{"pull-whole", "", true, liveIs(changed), shell("'%s' cp -q --whole 'far:%s' '%s'", exe, live.Path(), here)},
				{"scp", "scp", true, older(there), shell("scp -q -F '%s' '%s' 'far:%s'", net.at("ssh_config"), changed, there)},
				{"cat", "", true, older(there), shell("cat '%s' | '%s' far 'cat >%s'", changed, ssh, there)},
				{"zstd", "zstd", true, older(there), shell("zstd -qc '%s' | '%s' far 'zstd -qdc >%s'", changed, ssh, there)},
			} {
				b.Run(way.name, func(b *testing.B) {
					if way.always && change.name != everything {
						b.Skip("it carries everything, as with " + everything)
					}
					if _, err := osexec.LookPath(cmp.Or(way.tool, "true")); err != nil {
						b.Skipf("nothing to compare with: %v", err)
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
