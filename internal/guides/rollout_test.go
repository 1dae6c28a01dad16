package guides

import (
	"os"
	"path/filepath"
	"testing"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/testenv"
)

func TestCommandsOfTheGuideToRolloutsDoWhatItSays(t *testing.T) {
	testenv.Long(t)
	engine, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	t.Setenv("HOTSWAP_ENGINE", engine.ClientURL())
	w := newWorld(t)
	operator := w.machine(t, "operator")
	makeDatabase(t, filepath.Join(operator, "first.sqlite3"), "tea")
	makeDatabase(t, filepath.Join(operator, "second.sqlite3"), "cup")
	makeDatabase(t, filepath.Join(operator, "bad.sqlite3"), "pot", "UPDATE item SET price = -5")
	walk{world: w, at: operator, after: map[string]func(*testing.T){
		"main.go": func(t *testing.T) {
			for _, name := range []string{"web-1", "web-2", "web-3"} {
				dir := w.machine(t, name, "db")
				first, err := os.ReadFile(filepath.Join(operator, "first.sqlite3"))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "db/catalog.sqlite3"), first, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
				w.start(t, dir, socket, "env", "NODE="+name, filepath.Join(operator, "main"))
			}
		},
	}}.through(t, "rollout.md")
}
