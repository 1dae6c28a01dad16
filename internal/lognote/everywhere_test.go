package lognote

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Adding a log line must not make a caller wait for it.
func TestEveryLineOfTheLogGoesThroughHere(t *testing.T) {
	writes := regexp.MustCompile(`\.(Msgf?|MsgFunc)\(|\.Send\(\)`)
	for _, dir := range []string{"driver", "swapper", "sockserver", "internal/door"} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s, %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "driver/querylog.go") {
				continue // the query log is written by its calls, and says so
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(text) {
				if writes.Match(line) {
					t.Errorf("%s: %s", file, bytes.TrimSpace(line))
				}
			}
		}
	}
}
