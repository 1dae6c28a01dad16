package guides

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a guide.
type block struct {
	line     int // of its first line, in the file
	language string
	lines    []string
}

// fileName is the name in the comment that the block begins with, below a #!
// line if there is one; "" if it has none.
func (b block) fileName() string {
	for i, line := range b.lines {
		if m := nameComment.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		if i > 0 || !strings.HasPrefix(line, "#!") {
			break
		}
	}
	return ""
}

var nameComment = regexp.MustCompile(`^(?:#|//|--) ([\w@.-]+\.\w+|Dockerfile)(?:[:;,] .*)?$`)

// readGuide reads the blocks of a guide.
func readGuide(t *testing.T, path string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !inside:
			inside = true
			blocks = append(blocks, block{line: i + 2, language: language})
		case fence:
			inside = false
		case inside:
			last := &blocks[len(blocks)-1]
			last.lines = append(last.lines, line)
		}
	}
	return blocks
}

// command is a command of a console block, with what it should print.
type command struct {
	line   int
	text   string
	exit   string
	output []string // lines that come in this order, perhaps others between; … is anything
}

var exitComment = regexp.MustCompile(`# exits with (\d+)$`)

// commands reads a console block. A command may go on after a backslash.
func (b block) commands(t *testing.T) (list []command) {
	t.Helper()
	goesOn := false
	for i, line := range b.lines {
		text, begins := strings.CutPrefix(line, "$ ")
		switch {
		case begins:
			list = append(list, command{line: b.line + i, text: text, exit: "0"})
		case len(list) == 0:
			t.Fatalf("line %d: a console block begins with a command", b.line+i)
		case goesOn:
			list[len(list)-1].text += "\n" + line
		default:
			list[len(list)-1].output = append(list[len(list)-1].output, line)
			continue
		}
		last := &list[len(list)-1]
		goesOn = strings.HasSuffix(line, `\`)
		if m := exitComment.FindStringSubmatch(line); m != nil {
			last.exit = m[1]
		}
	}
	return list
}
