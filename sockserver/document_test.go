package sockserver_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/sockserver"
	"hotswap/sockserver/metrics"
)

const document = "../docs/api.md"

// documented is a command of the document, with what it should print.
type documented struct {
	line    int
	command string
	exit    string
	output  []string // lines that come in this order, perhaps others between; … is anything
}

// consoleBlocks reads the document's console blocks.
func consoleBlocks(t *testing.T) (blocks [][]documented) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	exits := regexp.MustCompile(`# exits with (\d+)$`)
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case line == "```console":
			inside = true
			blocks = append(blocks, nil)
		case strings.HasPrefix(line, "```"):
			inside = false
		case !inside:
		case isCommand:
			one := documented{line: i + 1, command: command, exit: "0"}
			if m := exits.FindStringSubmatch(command); m != nil {
				one.exit = m[1]
			}
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], one)
		default:
			block := blocks[len(blocks)-1]
			last := &block[len(block)-1]
			last.output = append(last.output, line)
		}
	}
	return blocks
}

// run runs the commands of a block in one shell.
func run(t *testing.T, dir string, block []documented) {
	t.Helper()
	const mark = "\x1e"
	var script strings.Builder
	for _, one := range block {
		fmt.Fprintf(&script, "%s\nprintf '\\036%%d\\036' $?\n", one.command)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script.String())
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("line %d: %v", block[0].line, err)
	}
	parts := strings.Split(string(out), mark)
	if len(parts) != 2*len(block)+1 {
		t.Fatalf("line %d: the shell gave up: %s", block[0].line, out)
	}
	for i, one := range block {
		output, exit := parts[2*i], parts[2*i+1]
		if exit != one.exit {
			t.Errorf("line %d exits with %s, not with %s: %s", one.line, exit, one.exit, output)
			continue
		}
		rest := output
		for _, want := range one.output {
			pieces := strings.Split(strings.TrimSpace(want), "…")
			for j, piece := range pieces {
				pieces[j] = regexp.QuoteMeta(piece)
			}
			found := regexp.MustCompile(`(?m)^\s*` + strings.Join(pieces, ".*")).FindStringIndex(rest)
			if found == nil {
				t.Errorf("line %d: no %q in what is left of its output:\n%s\nof\n%s", one.line, want, rest, output)
				break
			}
			rest = rest[found[1]:]
		}
	}
}

func TestCommandsOfTheDocumentDoWhatItSays(t *testing.T) {
	for _, tool := range []string{"curl", "sqlite3"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the document's commands need %v", err)
		}
	}
	dir := sockserver.ShortDir(t)
	for _, sub := range []string{"db", "tmp/sockets"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sockserver.OpenDatabase(t, dir+"/db/production.sqlite3", 1)
	sockserver.MakeDatabase(t, dir+"/new.sqlite3", 100)
	sockserver.MakeDatabase(t, dir+"/other-schema.sqlite3", 1)
	if out, err := exec.Command("sqlite3", dir+"/other-schema.sqlite3", "ALTER TABLE t ADD COLUMN more").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	blocks := consoleBlocks(t)
	if len(blocks) < 5 {
		t.Fatalf("only %d blocks in the document", len(blocks))
	}
	t.Setenv(sockserver.EnvSocket, "")
	t.Setenv(sockserver.EnvStderrSocket, "")
	t.Chdir(dir)
	s, err := sockserver.Start(sockserver.Config{DatabasePaths: []string{"db/*.sqlite3"}, Metrics: metrics.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, block := range blocks {
		run(t, dir, block)
	}
}

// constants lists the values of the package's string constants whose name begins
// with prefix, or whose type is of that name.
func constants(t *testing.T, dir, prefix string) (values []string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok != token.CONST {
				continue
			}
			for _, spec := range general.Specs {
				value := spec.(*ast.ValueSpec)
				if !strings.HasPrefix(value.Names[0].Name, prefix) || len(value.Values) == 0 {
					continue
				}
				if literal, ok := value.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, text)
				}
			}
		}
	}
	return values
}

func TestDocumentHasEveryName(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(text)), " ")
	var names []string
	names = append(names, constants(t, ".", "param")...)
	names = append(names, constants(t, ".", "Problem")...)
	names = append(names, constants(t, "../swapper", "Step")...)
	if len(names) < 50 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, name := range names {
		name = strings.TrimPrefix(name, "urn:hotswap:problem:")
		if !strings.Contains(flat, "`"+name+"`") {
			t.Errorf("the document does not have `%s`", name)
		}
	}
}
