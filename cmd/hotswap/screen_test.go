package main

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is what a terminal shows of the few things that the command writes.
// It wraps nothing, and keeps the widest line that ever was on it.
type screen struct {
	mu      sync.Mutex // guards what follows
	changed chan struct{}
	lines   [][]rune
	row     int
	col     int
	escape  string // an escape sequence that has begun
	widest  int
	raw     strings.Builder
}

func newScreen() *screen { return &screen{changed: make(chan struct{}), lines: [][]rune{nil}} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	for _, r := range string(p) {
		s.put(r)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

var sequence = regexp.MustCompile(`^\x1b\[[0-9;?]*[A-Za-z]$`)

func (s *screen) put(r rune) {
	switch {
	case s.escape != "" || r == '\x1b':
		s.escape += string(r)
		if !sequence.MatchString(s.escape) {
			return
		}
		switch s.escape {
		case "\x1b[J":
			s.lines = s.lines[:s.row+1]
			s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		case "\x1b[H":
			s.row, s.col = 0, 0
		case "\x1b[K":
			s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		default:
			panic("an escape sequence that the test does not know: " + s.escape[1:])
		}
		s.escape = ""
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.row++
		if s.row == len(s.lines) {
			s.lines = append(s.lines, nil)
		}
	default:
		line := s.lines[s.row]
		for len(line) <= s.col {
			line = append(line, ' ')
		}
		line[s.col] = r
		s.lines[s.row] = line
		s.col++
		s.widest = max(s.widest, len(line))
	}
}

func (s *screen) text() string {
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// now is the text while it may change.
func (s *screen) now() (text string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text(), s.changed
}

// waitFor waits until the screen shows what matches.
func (s *screen) waitFor(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(20 * time.Second)
	for {
		text, changed := s.now()
		if re.MatchString(text) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q never appeared; the screen is:\n%s", pattern, text)
		}
	}
}

// resetWidest forgets how wide the lines were.
func (s *screen) resetWidest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.widest = 0
}
