package guides

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFirstCommandsOfTheREADMEDoWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "prod", "app/db") + "/app"
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	makeDatabase(t, filepath.Join(app, "new.sqlite3"), "new")
	w.start(t, app, socket, "program", "db/production.sqlite3")
	first := readGuide(t, filepath.Join(repository(t), "README.md"))[0]
	if first.language != "console" {
		t.Fatalf("it begins with %q", first.lines)
	}
	walk{world: w, at: app}.run(t, "README.md", first)
}

// TestTheFiveMinutesOfTheREADMEDoWhatTheySay: the program is built and started, and
// meets the commands below it.
func TestTheFiveMinutesOfTheREADMEDoWhatTheySay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "prod", "app/db") + "/app"
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	steps := walk{world: w, at: app}
	ran := 0
	for _, b := range readGuide(t, filepath.Join(repository(t), "README.md"))[1:] {
		for i, line := range b.lines {
			b.lines[i] = strings.ReplaceAll(line, "127.0.0.1:8080", free.Addr().String())
		}
		switch {
		case b.fileName() == "main.go":
			steps.write(t, b, "main.go")
			free.Close()
			w.start(t, app, socket, filepath.Join(app, "main"))
			ran++
		case b.language == "console":
			steps.run(t, "README.md", b)
			ran++
		}
	}
	if ran != 2 {
		t.Errorf("%d blocks were run: the program and the commands", ran)
	}
}
