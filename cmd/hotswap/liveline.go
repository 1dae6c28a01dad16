package main

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cheggaaa/pb/v3"

	"hotswap/internal/printable"
	"hotswap/internal/unix"
)

const (
	// redrawEvery is also how long something must take to be shown at all.
	redrawEvery = 100 * time.Millisecond
	// elapsedFrom is from when on an activity says how long it has been.
	elapsedFrom = time.Second
	// maxLineWidth keeps the line readable on a wide terminal.
	maxLineWidth = 100
	// unknownWidth is the width of what is not a terminal, with --progress=always.
	unknownWidth = 80
)

// The forms of a transfer's line: with its size known, and without. There is no
// rate, and so no remaining time, in the first half second.
const (
	transferForm        = `{{string . "label"}} {{counters . }} {{bar . "[" "=" ">" " " "]"}} {{percent . "%.0f%%"}}{{speed . " %s/s " " "}}{{rtime . "%s left" "%s" ""}}`
	endlessTransferForm = `{{string . "label"}} {{counters . }}{{speed . " %s/s " " "}}{{etime . }}`
)

// liveLine is the line at the bottom of a terminal that shows what is happening
// now. It is redrawn until something else is shown, or nothing.
//
// After each drawing the cursor is put back to the line's beginning. Whatever
// width the terminal gets, erasing from there on erases all of it; a line that
// is printed by somebody else overwrites it.
type liveLine struct {
	out   *os.File
	ended chan struct{}
	gone  chan struct{} // closed once nothing is drawn any more

	mu       sync.Mutex      // guards what follows, and what is written to out
	transfer *pb.ProgressBar // at most one of transfer and activity is set
	activity string
	since    time.Time // of activity
	drawn    bool
	// interrupted is set once the command is, and only waits for its end; closed
	// when there is nothing to show any more.
	interrupted, closed bool
}

func newLiveLine(out *os.File) *liveLine {
	l := &liveLine{out: out, ended: make(chan struct{}), gone: make(chan struct{})}
	go l.redraw()
	return l
}

func (l *liveLine) redraw() {
	defer close(l.gone)
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.mu.Lock()
			l.drawLocked()
			l.mu.Unlock()
		case <-l.ended:
			return
		}
	}
}

// close erases the line for good. It may be called again.
func (l *liveLine) close() {
	l.mu.Lock()
	first := !l.closed
	l.closed, l.transfer, l.activity = true, nil, ""
	l.eraseLocked()
	l.mu.Unlock()
	if first {
		close(l.ended)
	}
	<-l.gone
}

// showTransfer shows a transfer in progress: bar has its counts. One that is
// shown already stays, unless over is set.
func (l *liveLine) showTransfer(label string, bar *pb.ProgressBar, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.interrupted && !l.closed && (over || l.transfer == nil) {
		bar.Set("label", label)
		l.activity, l.transfer = "", bar
	}
}

// showActivity shows an activity, and since when, unless a transfer is shown; a
// new text of the same activity keeps its start.
func (l *liveLine) showActivity(text string, same bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.interrupted && !l.closed && l.transfer == nil {
		l.showActivityLocked(text, same)
	}
}

func (l *liveLine) showActivityLocked(text string, same bool) {
	if !same || l.activity == "" {
		l.since = time.Now()
	}
	l.transfer, l.activity = nil, printable.Line(text)
}

// interrupt shows that from now on, and nothing else.
func (l *liveLine) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.interrupted = true
		l.showActivityLocked("interrupted: waiting for the result", false)
	}
}

// endActivity shows nothing where an activity was shown, or also a transfer.
func (l *liveLine) endActivity(orTransfer bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.interrupted {
		return
	}
	l.activity = ""
	if orTransfer {
		l.transfer = nil
	}
	if l.transfer == nil {
		l.eraseLocked()
	}
}

// above prints lines above this one.
func (l *liveLine) above(print func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.eraseLocked()
	print()
}

func (l *liveLine) eraseLocked() {
	if l.drawn {
		l.out.WriteString("\r\x1b[J")
		l.drawn = false
	}
}

func (l *liveLine) drawLocked() {
	text := l.textLocked(min(columns(l.out)-1, maxLineWidth))
	if text == "" {
		return
	}
	l.out.WriteString("\r\x1b[J" + text + "\r")
	l.drawn = true
}

func (l *liveLine) textLocked(width int) string {
	switch {
	case width < 1:
		return ""
	case l.transfer != nil:
		form := transferForm
		if l.transfer.Total() <= 0 {
			form = endlessTransferForm
		}
		return strings.TrimRight(pb.StripString(l.transfer.SetTemplateString(form).SetWidth(width).String(), width), " ")
	case l.activity != "":
		elapsed := ""
		if d := time.Since(l.since); d >= elapsedFrom {
			elapsed = " " + d.Truncate(time.Second).String()
		}
		return pb.StripString(l.activity, max(width-len(elapsed), 0)) + elapsed
	default:
		return ""
	}
}

// columns is the width of the terminal.
func columns(file *os.File) int {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return unknownWidth
	}
	return int(size.Col)
}
