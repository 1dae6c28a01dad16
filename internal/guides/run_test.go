package guides

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// walk is a reader's way through a guide.
type walk struct {
	world
	at     string                      // the directory in which he is
	after  map[string]func(*testing.T) // what happens once a file of the guide is there
	root   string                      // where the absolute paths are, if somewhere else
	before map[string]func(*testing.T) // what happens before the console block with this text in it
}

// through does all that a guide says, from its beginning.
func (w walk) through(t *testing.T, guide string) {
	t.Helper()
	consoles := 0
	for _, b := range readGuide(t, filepath.Join(repository(t), "docs", guide)) {
		name := b.fileName()
		switch {
		case b.language == "console":
			consoles++
			for text, first := range w.before {
				if strings.Contains(strings.Join(b.lines, "\n"), text) {
					first(t)
					delete(w.before, text)
				}
			}
			w.run(t, guide, b)
		case name == "":
			t.Fatalf("%s:%d: a block that nothing checks: give it a file's name, or make it console", guide, b.line)
		default:
			w.write(t, b, name)
		}
		if then := w.after[name]; then != nil && name != "" {
			then(t)
			delete(w.after, name)
		}
	}
	if consoles == 0 {
		t.Errorf("%s has no commands", guide)
	}
	for name := range w.after {
		t.Errorf("%s has no file %s", guide, name)
	}
	for text := range w.before {
		t.Errorf("%s has no command with %q", guide, text)
	}
}

// write makes a file of a block; a program of a Go file.
func (w walk) write(t *testing.T, b block, name string) {
	t.Helper()
	path := filepath.Join(w.at, name)
	mode := os.FileMode(0o644)
	if strings.HasPrefix(b.lines[0], "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(path, []byte(strings.Join(b.lines, "\n")+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	if b.language == "go" {
		goTool(t, "vet", path)
		goTool(t, "build", "-ldflags=-s -w", "-o", strings.TrimSuffix(path, ".go"), path)
	}
}

// goTool runs go on files outside of the module as if they were inside.
func goTool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = repository(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// patience is how long the commands of a block may take.
const patience = time.Minute

// run runs the commands of a block in one shell, and compares.
func (w walk) run(t *testing.T, guide string, b block) {
	t.Helper()
	const mark = "\x1e"
	list := b.commands(t)
	var script strings.Builder
	script.WriteString("exec 2>&1\n")
	for _, one := range list {
		fmt.Fprintf(&script, "%s\nprintf '\\036%%d\\036' $?\n", w.place(one.text))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", script.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Dir = w.at
	cmd.Env = append(os.Environ(), w.env()...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s:%d: %v after\n%s", guide, b.line, err, out)
	}
	parts := strings.Split(string(out), mark)
	if len(parts) != 2*len(list)+1 {
		t.Fatalf("%s:%d: the shell gave up: %s", guide, b.line, out)
	}
	for i, one := range list {
		output, exit := parts[2*i], parts[2*i+1]
		if exit != one.exit {
			t.Errorf("%s:%d exits with %s, not with %s:\n%s", guide, one.line, exit, one.exit, output)
			continue
		}
		for i, line := range one.output {
			one.output[i] = w.place(line)
		}
		if want := missing(one.output, output); want != "" {
			t.Errorf("%s:%d: no %q, or not in this place, in its output:\n%s", guide, one.line, want, output)
		}
	}
}

// place puts absolute paths where they are.
func (w walk) place(text string) string {
	if w.root == "" {
		return text
	}
	return below(w.root, text)
}

// missing returns the first of the lines that does not come in the output after
// those before it.
func missing(lines []string, output string) string {
	for _, want := range lines {
		pieces := strings.Split(strings.TrimSpace(want), "…")
		for i, piece := range pieces {
			pieces[i] = regexp.QuoteMeta(piece)
		}
		found := regexp.MustCompile(`(?m)^\s*` + strings.Join(pieces, ".*")).FindStringIndex(output)
		if found == nil {
			return want
		}
		output = output[found[1]:]
	}
	return ""
}
