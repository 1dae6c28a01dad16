// Package lognote writes log lines without making anybody wait for the writer. A log
// may be a pipe that nobody reads, or a terminal that was stopped with Ctrl-S: a call
// that resumes at the gate, or one that asks for the status, must not stop with it.
//
// All lines of the process go through one queue, which keeps them in order across
// loggers. While a writer takes too long for a line, the queue is bounded: lines that
// do not fit are dropped and counted, and the next one that fits says how many are
// missing. A writer that keeps up loses none.
package lognote

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// room is how many lines wait for a stuck writer.
	room = 1024
	// burst is how many wait for a writer that is busy but not yet stuck.
	burst = 64 * room
	// stuckAfter is how long a writer may take for a line before it counts as stuck.
	stuckAfter = time.Second
	// lateAfter is the delay after which a line says when it happened.
	lateAfter = time.Second
)

// The fields that are added to a line.
const (
	fieldDropped  = "lines_dropped" // before this one
	fieldHappened = "happened"      // for a line that was written much later
)

type line struct {
	event *zerolog.Event
	text  string
	at    time.Time
}

// queue is drained by a goroutine that ends when there is nothing left.
type queue struct {
	mu       sync.Mutex // guards what follows; a leaf: nothing is called under it
	lines    []line
	draining bool
	began    time.Time     // when the line being written was handed over
	dropped  int           // since the last line that fitted
	sent     uint64        // lines that fitted
	written  uint64        // of those sent
	progress chan struct{} // closed at the next line written; nil if nobody waits
}

var lines queue

// Send is e.Msg(text) on another goroutine. The caller must not use e afterwards. If e
// is nil, Send does nothing.
func Send(e *zerolog.Event, text string) {
	if e != nil {
		lines.send(line{e, text, time.Now()})
	}
}

// Flush waits until all lines sent before are written: for at most limit, and not at
// all if the writer has already been stuck for that long. It reports whether they are.
func Flush(limit time.Duration) bool { return lines.flush(limit) }

// Writer returns a writer that logs each Write as a line.
func Writer(log zerolog.Logger) io.Writer { return writer{log} }

type writer struct{ log zerolog.Logger }

func (w writer) Write(p []byte) (int, error) {
	Send(w.log.Log(), strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (q *queue) send(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.lines); n >= burst || n >= room && l.at.Sub(q.began) > stuckAfter {
		q.dropped++
		return
	}
	if q.dropped > 0 {
		l.event.Int(fieldDropped, q.dropped)
		q.dropped = 0
	}
	q.lines = append(q.lines, l)
	q.sent++
	if !q.draining {
		q.draining, q.began = true, l.at
		go q.drain()
	}
}

func (q *queue) drain() {
	for {
		q.mu.Lock()
		if len(q.lines) == 0 {
			q.lines, q.draining = nil, false
			q.mu.Unlock()
			return
		}
		l := q.lines[0]
		q.lines[0] = line{}
		q.lines = q.lines[1:]
		q.began = time.Now()
		q.mu.Unlock()
		l.write()
		q.mu.Lock()
		q.written++
		if q.progress != nil {
			close(q.progress)
			q.progress = nil
		}
		q.mu.Unlock()
	}
}

// write writes a line. If the writer, or a hook of the logger, panics, only the line is
// lost: nobody who could recover is there.
func (l line) write() {
	defer func() { _ = recover() }()
	if time.Since(l.at) > lateAfter {
		l.event.Time(fieldHappened, l.at)
	}
	l.event.Msg(l.text)
}

func (q *queue) flush(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	q.mu.Lock()
	wanted := q.sent
	for q.written < wanted {
		if time.Since(q.began) > limit {
			break
		}
		if q.progress == nil {
			q.progress = make(chan struct{})
		}
		progress := q.progress
		q.mu.Unlock()
		timedOut := false
		select {
		case <-progress:
		case <-timer.C:
			timedOut = true
		}
		q.mu.Lock()
		if timedOut {
			break
		}
	}
	defer q.mu.Unlock()
	return q.written >= wanted
}
