package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hotswap/sockserver"
)

// BenchmarkCommand runs the hotswap command against this process, from its start
// to its end, and compares that with cp and sync of the same file. The integrity
// check is skipped: it is a matter of its own.
func BenchmarkCommand(b *testing.B) {
	mb := 100
	if *large {
		mb = 400
	}
	b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) {
		src := sample(b, mb)
		dir := b.TempDir()
		live := managedCopy(b, src, dir)
		exe := filepath.Join(dir, "hotswap")
		if err := command("go", "build", "-o", exe, "hotswap/cmd/hotswap"); err != nil {
			b.Fatal(err)
		}
		socket := filepath.Join(dir, "s")
		server, err := sockserver.Start(sockserver.Config{SocketPath: socket})
		if err != nil {
			b.Fatal(err)
		}
		defer server.Close()
		b.Setenv(sockserver.EnvSocket, socket)
		target := filepath.Join(dir, "target.sqlite3")
		cp := func(args ...string) func() error {
			return func() error { return command(exe, append([]string{"cp", "--quiet"}, args...)...) }
		}
		compare(b, []contender{
			{"cp", copyAndSync(src, target)},
			{"push", cp("--skip-integrity-check", src, live.Path())},
			{"stdin", func() error {
				return command("sh", "-c", fmt.Sprintf("cat '%s' | '%s' cp --quiet --skip-integrity-check - '%s'", src, exe, live.Path()))
			}},
			{"stdin-file", func() error {
				return command("sh", "-c", fmt.Sprintf("'%s' cp --quiet --skip-integrity-check - '%s' <'%s'", exe, live.Path(), src))
			}},
			{"pull", func() error {
				if err := cp(live.Path(), target)(); err != nil {
					return err
				}
				return os.Remove(target)
			}},
			// To a reader that is as quick as one can be, and keeps nothing.
			{"stdout", func() error {
				return command("sh", "-c", fmt.Sprintf("'%s' cp --quiet '%s' - | cat >/dev/null", exe, live.Path()))
			}},
			{"stdout-file", func() error {
				return errors.Join(command("sh", "-c", fmt.Sprintf("'%s' cp --quiet '%s' - >'%s'", exe, live.Path(), target)), command("sync", target), os.Remove(target))
			}},
		}, src)
	})
}
