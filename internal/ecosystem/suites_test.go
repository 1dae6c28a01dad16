package ecosystem

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "run the tests of all libraries, not just a few")

// suite is a library's own tests.
type suite struct {
	module   string // with its version
	packages []string
	skip     string // a pattern of the tests that are not run, since they build commands, say
	tags     string
	env      []string
	quick    bool // run without -all, too
	// edits are made to the module's files first: the file, what is replaced, and by
	// what.
	edits [][3]string
	// lost are tests that pass on go-sqlite3 and not here, and why.
	lost map[string]string
	// underSwaps are those that only swaps make fail, and why.
	underSwaps map[string]string
}

// TestTheTestsOfLibrariesPassAsOnGoSQLite3: what passes there passes here, and while all
// databases are swapped about every millisecond.
func TestTheTestsOfLibrariesPassAsOnGoSQLite3(t *testing.T) {
	for _, s := range suites {
		name, _, _ := strings.Cut(s.module, "@")
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			if !s.quick && !*all {
				t.Skip("only with -all")
			}
			s.fetch(t).compare(t)
		})
	}
}

// fetched is a suite in a directory where it can be built.
type fetched struct {
	suite
	dir string
}

// fetch copies the module from the cache, and has its tests import the driver.
func (s suite) fetch(t *testing.T) fetched {
	t.Helper()
	var module struct{ Dir string }
	if err := json.Unmarshal(command(t, ".", "go", "mod", "download", "-json", s.module), &module); err != nil {
		t.Fatal(err)
	}
	f := fetched{s, filepath.Join(t.TempDir(), "module")}
	if err := os.CopyFS(f.dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			info, _ := entry.Info()
			err = os.Chmod(path, info.Mode()|0o200)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	under := filepath.Join(f.dir, "..", "under")
	if err := os.CopyFS(under, os.DirFS("testdata/under")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(under, "go.mod"), []byte("module underhotswap\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "go.mod")); err != nil {
		path, _, _ := strings.Cut(s.module, "@")
		command(t, f.dir, "go", "mod", "init", path)
	}
	command(t, f.dir, "go", "mod", "edit", "-go=1.26.0",
		"-require=hotswap@v0.0.0", "-replace=hotswap="+repository,
		"-require=underhotswap@v0.0.0", "-replace=underhotswap="+under,
		"-require=github.com/mattn/go-sqlite3@"+version(t, "github.com/mattn/go-sqlite3"),
		"-require=github.com/rs/zerolog@"+version(t, "github.com/rs/zerolog"))
	for _, edit := range s.edits {
		name := filepath.Join(f.dir, edit[0])
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte(edit[1])) == 0 {
			t.Fatalf("%s has no %q (%v)", name, edit[1], err)
		}
		if err := os.WriteFile(name, bytes.ReplaceAll(text, []byte(edit[1]), []byte(edit[2])), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, pkg := range s.packages {
		file := filepath.Join(f.dir, pkg, "hotswap_under_test.go")
		if err := os.WriteFile(file, []byte("package "+packageName(t, filepath.Join(f.dir, pkg))+"\n\nimport _ \"underhotswap\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func version(t *testing.T, module string) string {
	t.Helper()
	return strings.TrimSpace(string(command(t, ".", "go", "list", "-m", "-f", "{{.Version}}", module)))
}

// packageName is that of the tests in dir.
func packageName(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	var name string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if name = parsed.Name.Name; strings.HasSuffix(file, "_test.go") {
			break
		}
	}
	return name
}

func command(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return out
}

// compare runs the tests three times, and fails on a loss.
func (f fetched) compare(t *testing.T) {
	t.Helper()
	raw, ours, swapped := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var output string
	counted := filepath.Join(f.dir, "..", "swaps")
	for _, pkg := range f.packages {
		binary := filepath.Join(f.dir, "..", "tests-"+strings.NewReplacer("/", "-", ".", "").Replace(pkg))
		command(t, f.dir, "go", "test", "-mod=mod", "-c", "-vet=off", "-tags="+f.tags, "-o", binary,
			"-ldflags=-X github.com/mattn/go-sqlite3.driverName=", "./"+pkg)
		for mode, passed := range map[string]map[string]bool{"raw": raw, "ours": ours, "swaps": swapped} {
			began := time.Now()
			said := f.runTests(t, binary, pkg, mode, counted, passed)
			t.Logf("%s, %s: %.1fs", pkg, mode, time.Since(began).Seconds())
			if mode != "raw" {
				output += said
			}
		}
		// What fails once may have been too slow for its own deadline.
		for range 2 {
			for mode, passed := range map[string]map[string]bool{"ours": ours, "swaps": swapped} {
				if f.loses(raw, passed) {
					output += f.runTests(t, binary, pkg, mode, counted, passed)
				}
			}
		}
	}
	if len(raw) == 0 {
		t.Errorf("no test passes on go-sqlite3 itself:\n%s", output)
	}
	swaps := 0
	if info, err := os.Stat(counted); err == nil {
		swaps = int(info.Size())
	}
	t.Logf("%-55s raw %5d, ours %5d, under swaps %5d (%d swaps)", f.module, len(raw), len(ours), len(swapped), swaps)
	f.check(t, "", raw, ours, f.lost, output)
	forgiven := maps.Clone(f.lost)
	if forgiven == nil {
		forgiven = map[string]string{}
	}
	maps.Copy(forgiven, f.underSwaps)
	f.check(t, " under swaps", raw, swapped, forgiven, output)
}

func (f fetched) loses(raw, ours map[string]bool) bool {
	for name := range raw {
		if !ours[name] && f.lost[name] == "" {
			return true
		}
	}
	return false
}

func (f fetched) check(t *testing.T, how string, raw, ours map[string]bool, known map[string]string, output string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !ours[name] && known[name] == "" {
			t.Errorf("lost%s: %s\n%s", how, name, about(output, name))
		}
	}
}

// about returns the lines of an output that a test has written, or that name it.
func about(output, test string) string {
	_, test, _ = strings.Cut(test, " ")
	var lines []string
	for line := range strings.Lines(output) {
		if rest, ok := strings.CutPrefix(line, test+"\t"); ok && len(lines) < 20 {
			lines = append(lines, "    "+rest)
		}
	}
	return strings.Join(lines, "")
}

// runTests adds to passed the tests that pass in that mode, and returns what they said.
func (f fetched) runTests(t *testing.T, binary, pkg, mode, counted string, passed map[string]bool) string {
	t.Helper()
	args := []string{"tool", "test2json", binary, "-test.v=test2json", "-test.timeout=2m"}
	if f.skip != "" {
		args = append(args, "-test.skip="+f.skip)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join(f.dir, pkg)
	cmd.Env = append(append(os.Environ(), f.env...), "HOTSWAP_ECOSYSTEM="+mode, "HOTSWAP_ECOSYSTEM_COUNT="+counted)
	cmd.WaitDelay = time.Second
	defer func() { // each begins with no database
		left, _ := filepath.Glob(filepath.Join(cmd.Dir, "*.db*"))
		for _, name := range left {
			os.Remove(name)
		}
	}()
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		if event.Action == "pass" && event.Test != "" {
			passed[pkg+" "+event.Test] = true
		}
		if event.Output != "" {
			fmt.Fprintf(&said, "%s\t%s: %s\n", event.Test, mode, strings.TrimSuffix(event.Output, "\n"))
		}
	}
	return said.String()
}
