package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hotswap/driver"
	"hotswap/sockserver"
)

// BenchmarkCommand runs the hotswap command against this process, from its start
// to its end, and compares that with cp and sync of the same file; and with what
// SQLite alone takes for the same, where it is SQLite that does most of it.
func BenchmarkCommand(b *testing.B) {
	sizes := []int{100}
	if *large {
		sizes = []int{400, 2000}
	}
	for _, mb := range sizes {
		b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) { benchmarkCommand(b, sample(b, mb)) })
	}
}

func benchmarkCommand(b *testing.B, src string) {
	dir := b.TempDir()
	live := managedCopy(b, src, dir, "WAL")
	exe := filepath.Join(dir, "hotswap")
	if err := command("go", "build", "-o", exe, "hotswap/cmd/hotswap"); err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	server, err := sockserver.Start(sockserver.Config{SocketPath: socket})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	b.Setenv(sockserver.EnvSocket, socket)
	target := filepath.Join(dir, "target.sqlite3")
	cp := func(args ...string) func() error {
		return func() error { return command(exe, append([]string{"cp", "--quiet"}, args...)...) }
	}
	script := func(format string, args ...any) func() error {
		return func() error { return command("sh", "-c", fmt.Sprintf(format, args...)) }
	}
	baseline := contender{"cp", copyAndSync(src, target)}
	removed := func(run func() error) func() error {
		return func() error { return errors.Join(run(), os.Remove(target)) }
	}
	b.Run("push", func(b *testing.B) {
		compare(b, []contender{
			baseline,
			{"file", cp("--skip-integrity-check", src, live.Path())},
			{"stdin-pipe", script("cat '%s' | '%s' cp --quiet --skip-integrity-check - '%s'", src, exe, live.Path())},
			{"stdin-file", script("'%s' cp --quiet --skip-integrity-check - '%s' <'%s'", exe, live.Path(), src)},
		}, src)
	})
	b.Run("checked", func(b *testing.B) {
		compare(b, []contender{
			baseline,
			{"checked", cp(src, live.Path())},
			{"quick", cp("--quick", src, live.Path())},
			{"sqlite-quick", func() error { return checkAlone(src, "quick_check") }},
		}, src)
	})
	b.Run("in-place", func(b *testing.B) {
		rollback := managedCopy(b, src, b.TempDir(), "DELETE")
		restored := filepath.Join(dir, "restored.sqlite3")
		if err := command("cp", src, restored); err != nil {
			b.Fatal(err)
		}
		inPlace := func(db *driver.Database) func() error {
			return cp("--skip-integrity-check", "--method=in-place", src, db.Path())
		}
		ways := []contender{baseline, {"WAL", inPlace(live)}, {"DELETE", inPlace(rollback)}}
		if shell(b) {
			// Into a file that nobody uses, and has as much in it.
			ways = append(ways, contender{"shell-restore", func() error { return command("sqlite3", restored, ".restore '"+src+"'") }})
		}
		compare(b, ways, src)
	})
	b.Run("pull", func(b *testing.B) {
		ways := []contender{
			baseline,
			{"file", removed(cp(live.Path(), target))},
			{"file-tagged", removed(func() error { return command(exe, "cp", live.Path(), target) })},
			// To a reader that is as quick as one can be, and keeps nothing.
			{"stdout-pipe", script("'%s' cp --quiet '%s' - | cat >/dev/null", exe, live.Path())},
			{"stdout-file", removed(script("'%s' cp --quiet '%s' - >'%s' && sync '%[3]s'", exe, live.Path(), target))},
		}
		if shell(b) {
			ways = append(ways, contender{"shell-vacuum", removed(script("sqlite3 '%s' \"VACUUM INTO '%s'\" && sync '%[2]s'", live.Path(), target))},
				contender{"shell-backup", removed(script("sqlite3 '%s' \".backup '%s'\" && sync '%[2]s'", live.Path(), target))})
		}
		compare(b, ways, src)
	})
}
