package words

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unwanted are phrases that are wrong wherever they stand. A phrase that is right
// somewhere is no matter for a test: it stays with the reader.
var unwanted = []struct{ not, but string }{
	{`is for who\b`, "is for callers that"},
	{`\bis no (?:regular )?(?:file|socket|directory|database) but\b`, "is not a … (it is …)"},
	{`\bare no whole number of\b`, "is not a multiple of"},
	{`\bto hear what came of\b`, "waiting for the result"},
	{`\b(?:a|another) swap is on\b`, "swap in progress"},
	{`\bsay that it is done\b`, "write the result"},
	{`\bletGo\b`, "release"},
	{`\bafterglow\b`, "the fence's grace"},
	{`\bnewborn\b`, "a pre-exec child"},
	{`\bfile (?:that )?(?:was|is) cut\b`, "truncated"},
	{`\bmends?\b`, "fix"},
	{`\bis of another user\b`, "runs as another user"},
	{`\bthat is none\b`, "that is not one"},
	{`\bsuch (?:a one|ones)\b`, "the noun: a peer"},
	{`\bwho is (?:no|none of)\b`, "a process that is not"},
	{`\bthat (?:is|are) no (?:peers?)\b`, "that is not a peer"},
	{`\bif that is meant\b`, "if this is intended"},
	{`\bwhat is gone\b`, "a missing file, what no longer exists"},
}

// TestTheWordListIsKept in Markdown and in Go, but for the list itself.
func TestTheWordListIsKept(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "tmp" || name == "testdata" || name == "words"):
			return filepath.SkipDir
		case entry.IsDir() || name == "CONTRIBUTING.md" || filepath.Ext(name) != ".md" && filepath.Ext(name) != ".go":
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		for _, found := range unwantedIn(string(text)) {
			t.Errorf("%s: %s", rel, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

// lineEnd is between two words that a document or comment has on two lines.
var lineEnd = regexp.MustCompile(`\n[ \t]*(?:// )?`)

// unwantedIn returns what is unwanted in a text, with what to say instead.
func unwantedIn(text string) (found []string) {
	flat := lineEnd.ReplaceAllString(text, " ")
	for _, u := range unwanted {
		for _, phrase := range regexp.MustCompile(u.not).FindAllString(flat, -1) {
			found = append(found, "\""+phrase+"\": say \""+u.but+"\" (see CONTRIBUTING.md)")
		}
	}
	return found
}

// TestTheWordListIsSeenAcrossLinesAndNotInOtherWords: the test above must find what is
// there, and nothing else.
func TestTheWordListIsSeenAcrossLinesAndNotInOtherWords(t *testing.T) {
	for text, want := range map[string]int{
		"// It is for\n// who writes a new content":          1,
		"the target is no regular file but a FIFO":           1,
		"1001 bytes are no whole number\n\tof 4096-byte":     1,
		"it is for whoever opens the path":                   0,
		"the body was cut short, the file is truncated":      0,
		"is no database of this program; but another one is": 0,
		"a swap is only made once":                           0,
	} {
		if got := unwantedIn(text); len(got) != want {
			t.Errorf("%q: found %q", text, got)
		}
	}
}
