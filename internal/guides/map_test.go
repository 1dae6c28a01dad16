package guides

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryFileIsOnItsPackagesMap: the list of files in doc.go leads a stranger through
// the two packages that have many.
func TestEveryFileIsOnItsPackagesMap(t *testing.T) {
	for _, dir := range []string{"../../driver", "../../swapper"} {
		doc, err := os.ReadFile(filepath.Join(dir, "doc.go"))
		if err != nil {
			t.Fatal(err)
		}
		_, list, found := strings.Cut(string(doc), "// The files, in")
		if !found {
			t.Fatalf("%s/doc.go has no list of files", dir)
		}
		list, _, _ = strings.Cut(list, "\n//\n// ") // what follows the list
		on := map[string]bool{}
		for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(list, -1) {
			on[word] = true
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			noun := strings.TrimSuffix(filepath.Base(file), ".go")
			noun = strings.TrimSuffix(strings.TrimSuffix(noun, "_linux"), "_other")
			if strings.HasSuffix(noun, "_test") || noun == "doc" || noun == "system" || on[noun] {
				continue
			}
			t.Errorf("%s is not in the list of files in %s/doc.go: say there where it belongs", file, dir)
		}
	}
}
