package guides

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDriversFilesNameWhatStandsBeforeThem: the list in driver/doc.go is in floors, so that
// one who reads it from its beginning meets nothing that is told later, but for what the
// list says.
func TestDriversFilesNameWhatStandsBeforeThem(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "driver")
	place, also := floors(t, filepath.Join(dir, "doc.go"))
	needed := map[string]bool{}
	for ref, names := range references(t, dir) {
		from, to := ref[0], ref[1]
		switch {
		case place[from] > place[to]:
		case slices.Contains(also[from], to):
			needed[from+" "+to] = true
		default:
			t.Errorf("driver/%s.go names what is in %s.go (%s), which stands after it in the list in doc.go: move one of them, in the list or between the files; "+
				"if the two need each other, say so there (also %s)", from, to, strings.Join(names, ", "), to)
		}
	}
	for from, all := range also {
		for _, to := range all {
			if !needed[from+" "+to] {
				t.Errorf("driver/doc.go says that %s names what is in %s: it does not, or that stands before it", from, to)
			}
		}
	}
}

// floors reads the list of files: the place of each, and what it names that comes later.
func floors(t *testing.T, path string) (place map[string]int, also map[string][]string) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "// The files, in floors")
	list, _, _ = strings.Cut(list, "\n//\n// The locks")
	place, also = map[string]int{}, map[string][]string{}
	var body strings.Builder
	for line := range strings.Lines(list) {
		line, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//\t")
		if !ok {
			continue
		}
		const column = 15 // where the files stand
		if !strings.HasPrefix(line, " ") {
			body.WriteString(";")
		}
		body.WriteString(" " + line[column:])
	}
	word := regexp.MustCompile(`[a-z_]+`)
	for part := range strings.SplitSeq(body.String(), ";") {
		files, _, _ := strings.Cut(part, ":")
		for _, m := range regexp.MustCompile(`([a-z_]+)(?: \(also ([^)]*)\))?`).FindAllStringSubmatch(files, -1) {
			place[m[1]] = len(place) + 1
			for _, name := range word.FindAllString(m[2], -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), name+".go")); err == nil {
					also[m[1]] = append(also[m[1]], name)
				}
			}
		}
	}
	return place, also
}

// references returns which file of a package names what of which other one.
func references(t *testing.T, dir string) map[[2]string][]string {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,GoFiles,DepOnly", ".")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	fset := token.NewFileSet()
	var files []*ast.File
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Export string
			GoFiles            []string
			DepOnly            bool
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.DepOnly {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	pkg, err := (&types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}).Check("hotswap/driver", fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	noun := func(pos token.Pos) string {
		return strings.TrimSuffix(filepath.Base(fset.Position(pos).Filename), ".go")
	}
	found := map[[2]string]map[string]bool{}
	for id, object := range info.Uses {
		if object.Pkg() != pkg || !object.Pos().IsValid() {
			continue
		}
		if ref := [2]string{noun(id.Pos()), noun(object.Pos())}; ref[0] != ref[1] {
			if found[ref] == nil {
				found[ref] = map[string]bool{}
			}
			found[ref][object.Name()] = true
		}
	}
	all := map[[2]string][]string{}
	for ref, names := range found {
		all[ref] = slices.Sorted(maps.Keys(names))
	}
	if len(all) < 100 {
		t.Fatalf("only %d references were found", len(all))
	}
	return all
}
