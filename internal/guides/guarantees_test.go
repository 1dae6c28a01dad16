package guides

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWhatTheGuaranteesAreProvenByIsThere: a test of the name that a line gives, or of
// one that begins so.
func TestWhatTheGuaranteesAreProvenByIsThere(t *testing.T) {
	root := repository(t)
	text, err := os.ReadFile(filepath.Join(root, "docs/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names, files []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)`)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".txtar") {
			return err
		}
		files = append(files, filepath.Base(path))
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)(…?)`|`(\\w+(?:_test\\.go|\\.txtar))`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 100 {
		t.Errorf("only %d are named", len(named))
	}
	for _, m := range named {
		found := false
		for _, name := range names {
			found = found || name == m[1] || m[2] != "" && strings.HasPrefix(name, m[1])
		}
		for _, file := range files {
			found = found || file == m[3]
		}
		if !found {
			t.Errorf("%s is not there", m[0])
		}
	}
}
