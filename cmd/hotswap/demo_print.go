package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/internal/testapp"
)

// demoWidth is the widest line that the demo prints, in columns.
const demoWidth = 80

// demoIndent is as wide as the time before a step.
const demoIndent = "          "

// demoPrinter prints what the demo has to say. On a terminal the headings stand
// out; elsewhere, or with NO_COLOR set, it is plain text.
type demoPrinter struct {
	out    io.Writer
	styled bool
	began  time.Time // steps are timed from here
}

func newDemoPrinter(f *os.File) *demoPrinter {
	styled := isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &demoPrinter{out: f, styled: styled, began: time.Now()}
}

// The styles, as SGR parameters.
const (
	styleBold = "1"
	styleDim  = "2"
)

func (p *demoPrinter) style(sgr, s string) string {
	if !p.styled {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (p *demoPrinter) line(s string) { fmt.Fprintln(p.out, s) }

func (p *demoPrinter) title(s string) {
	p.line(p.style(styleBold, s))
	p.line("")
}

// step prints what happens now.
func (p *demoPrinter) step(format string, args ...any) {
	p.line(fmt.Sprintf("%6.2f s  ", time.Since(p.began).Seconds()) + p.style(styleBold, fmt.Sprintf(format, args...)))
}

// command prints a cp before it runs, with paths shortened to their names.
func (p *demoPrinter) command(remark string, args ...string) {
	words := []string{"$ hotswap cp"}
	for _, a := range args {
		words = append(words, filepath.Base(a))
	}
	if remark != "" {
		words = append(words, "  # "+remark)
	}
	p.step("%s", strings.Join(words, " "))
}

// note prints what there is to say about the last step.
func (p *demoPrinter) note(format string, args ...any) {
	p.line(demoIndent + fmt.Sprintf(format, args...))
}

// quote prints what the command said, wrapped.
func (p *demoPrinter) quote(s string) {
	for _, l := range wrapWords(s, demoWidth-len(demoIndent)-2) {
		p.line(demoIndent + p.style(styleDim, "| "+l))
	}
}

func (p *demoPrinter) result(format string, args ...any) {
	p.line(fmt.Sprintf(format, args...))
}

// waits prints who was in flight while the gate was closed.
func (p *demoPrinter) waits(waits []testapp.Wait) {
	const most = 3
	if len(waits) == 0 {
		p.note("no call came in that time")
		return
	}
	calls := 0
	for _, w := range waits {
		calls += w.Calls
	}
	var slowest []string
	for _, w := range waits[:min(most, len(waits))] {
		slowest = append(slowest, fmt.Sprintf("%s %s", w.Call, demoDuration(w.Longest)))
	}
	for _, l := range wrapParts(fmt.Sprintf("%d calls met the pause; the slowest: ", calls), slowest, demoWidth-len(demoIndent)) {
		p.note("%s", l)
	}
}

// demoMark is a step on the timeline.
type demoMark struct {
	at    time.Time
	label string // one column
}

// The timeline's scale is logarithmic, a row for each power of ten: a call
// takes a tenth of a millisecond, and one that waits may take a hundred times
// that.
const (
	timelineLabel  = 9 // columns before the bars
	timelineBottom = 100 * time.Microsecond
	timelineRows   = 5 // at most: up to 10 s
)

// timeline draws the longest call in each moment, how many calls began in it,
// and where the steps were.
func (p *demoPrinter) timeline(m *testapp.Meter, start, end time.Time, marks []demoMark) {
	slots := m.Timeline(start, end, demoWidth-timelineLabel)
	p.line("")
	p.line(p.style(styleBold, fmt.Sprintf("The longest call in each %s of the run:", demoDuration(end.Sub(start)/time.Duration(len(slots))))))
	for _, l := range timelineBars(slots) {
		p.line(l)
	}
	row := []rune(strings.Repeat(" ", len(slots)))
	for _, mark := range marks {
		i := int(int64(mark.at.Sub(start)) * int64(len(slots)) / int64(end.Sub(start)))
		copy(row[min(max(i, 0), len(row)-1):], []rune(mark.label))
	}
	p.line(p.style(styleBold, strings.TrimRight(strings.Repeat(" ", timelineLabel)+string(row), " ")))
	p.line(p.style(styleDim, strings.Repeat(" ", timelineLabel)+"1-5: a push; x: the one that was refused; p: the pull"))
	p.line("")
}

// timelineBars are the rows of bars, the tallest part first, and one row for
// the number of calls.
func timelineBars(slots []testapp.Slot) []string {
	heights := make([]int, len(slots)) // in eighths of a row
	rows, most := 1, 1
	for i, s := range slots {
		if s.Calls > 0 {
			heights[i] = max(1, int(math.Round(8*math.Log10(float64(s.Longest)/float64(timelineBottom)))))
		}
		heights[i] = min(heights[i], 8*timelineRows)
		rows = max(rows, (heights[i]+7)/8)
		most = max(most, s.Calls)
	}
	var lines []string
	for row := rows - 1; row >= 0; row-- {
		top := timelineBottom * time.Duration(math.Pow10(row+1))
		var b strings.Builder
		for _, h := range heights {
			b.WriteRune(block(h - 8*row))
		}
		lines = append(lines, fmt.Sprintf("%*s ", timelineLabel-1, demoDuration(top))+b.String())
	}
	var b strings.Builder
	for _, s := range slots {
		h := 0
		if s.Calls > 0 {
			h = max(1, s.Calls*8/most)
		}
		b.WriteRune(block(h))
	}
	return append(lines, fmt.Sprintf("%*s ", timelineLabel-1, "calls")+b.String())
}

// block is a bar of so many eighths.
func block(eighths int) rune {
	return []rune(" ▁▂▃▄▅▆▇█")[min(max(eighths, 0), 8)]
}

// demoDuration shows two or three digits: "0.42 ms", "43 ms", "1.7 s".
func demoDuration(d time.Duration) string {
	n, unit := float64(d)/float64(time.Millisecond), "ms"
	if d >= time.Second {
		n, unit = d.Seconds(), "s"
	}
	decimals := 0
	switch {
	case n == math.Trunc(n):
	case n < 1:
		decimals = 2
	case n < 10:
		decimals = 1
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) + " " + unit
}

// demoNumber puts commas between the thousands.
func demoNumber(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// wrapWords breaks s at spaces into lines of at most width columns.
func wrapWords(s string, width int) []string {
	return wrap("", strings.Fields(s), width)
}

// wrapParts puts parts behind a heading, with commas, and breaks between them.
func wrapParts(heading string, parts []string, width int) []string {
	for i := range parts[:len(parts)-1] {
		parts[i] += ","
	}
	return wrap(heading, parts, width)
}

func wrap(line string, parts []string, width int) []string {
	const sep = " "
	var lines []string
	for i, part := range parts {
		if i > 0 {
			part = sep + part
		}
		if i > 0 && len([]rune(line+part)) > width {
			lines, line = append(lines, line), strings.TrimPrefix(part, sep)
		} else {
			line += part
		}
	}
	return append(lines, line)
}
