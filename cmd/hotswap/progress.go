package main

import (
	"io"
	"os"
	"strings"

	"github.com/cheggaaa/pb/v3"
	"github.com/mattn/go-isatty"

	"hotswap/internal/printable"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// The values of --progress.
const (
	progressAuto   = "auto"
	progressAlways = "always"
	progressNever  = "never"
)

// wantsProgress decides whether stderr gets a live line.
func (c *cpCmd) wantsProgress(stderr *os.File) bool {
	switch {
	case c.Quiet || c.Progress == progressNever:
		return false
	case c.Progress == progressAlways:
		return true
	default:
		return isatty.IsTerminal(stderr.Fd()) && os.Getenv("TERM") != "dumb"
	}
}

// transfer counts the bytes of a transfer. The counts are atomic: a terminal
// that was stopped does not stop the transfer.
type transfer struct {
	bar *pb.ProgressBar
}

func newTransfer(total int64) transfer {
	return transfer{pb.New64(total).Set(pb.Static, true).Set(pb.Bytes, true)}
}

// reached notes a count of the other side's, which is behind our own if the
// bytes go through us, and else the only one.
func (t transfer) reached(done, total int64) {
	if done > t.bar.Current() {
		t.bar.SetCurrent(done)
	}
	if total > 0 {
		t.bar.SetTotal(total)
	}
}

// Write counts what it is given.
func (t transfer) Write(p []byte) (int, error) {
	t.bar.Add64(int64(len(p)))
	return len(p), nil
}

// countedReader counts what is read. If file goes to the server instead, the bar follows
// the server's status lines.
type countedReader struct {
	io.Reader
	file  *os.File // nil for none
	count transfer
	ended func() // called at the end
}

// Descriptor is for package sockserver.
func (r countedReader) Descriptor() *os.File { return r.file }

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count.bar.Add64(int64(n))
	if err == io.EOF {
		r.ended()
	}
	return n, err
}

// statusLine prints a status line, or shows it while it lasts.
func (o *output) statusLine(line sockserver.Line) {
	switch line.Step {
	case swapper.StepPushStarted:
		o.announce()
		line.Text += named(line)
	case swapper.StepPullStarted:
		line.Text += named(line)
	}
	switch line.Step {
	case swapper.StepReceiving, swapper.StepSending:
		o.current.reached(line.Done, line.Total)
	case swapper.StepCopying:
		o.copied(line)
	case swapper.StepIntegrity, swapper.StepSchema, swapper.StepValidate, swapper.StepSnapshot, swapper.StepWaiting:
		o.activity(line.Text, line.Text, false)
	case swapper.StepReopened:
		o.activity("waiting for "+holding(line), line.Text, true)
	case swapper.StepGateClosed:
		if o.live == nil {
			o.say("%s", line.Text)
		}
	default:
		if o.live != nil {
			o.live.endActivity(line.Step == swapper.StepReceived)
		}
		if line.Step == swapper.StepPullComplete {
			o.pulled = line.Text
			return
		}
		o.say("%s", line.Text)
	}
}

// named is a command's id, for those who follow it elsewhere.
func named(line sockserver.Line) string { return " (id " + printable.Line(line.Command) + ")" }

// copied shows how far a snapshot is. Its bytes may be here already: they come
// by another way than the status lines.
func (o *output) copied(line sockserver.Line) {
	if o.copying.bar == nil {
		o.copying = newTransfer(line.Total)
		if o.live != nil {
			o.live.showTransfer("copying", o.copying.bar, false)
		}
	}
	o.copying.reached(line.Done, line.Total)
}

// holding names the holders, without since when: the live line says that.
func holding(line sockserver.Line) string {
	names := make([]string, len(line.Holders))
	for i, h := range line.Holders {
		h.For = 0
		names[i] = h.String()
	}
	return strings.Join(names, ", ")
}

// activity shows an activity; without a live line it prints the line.
func (o *output) activity(text, line string, same bool) {
	if o.live == nil {
		o.say("%s", line)
		return
	}
	o.live.showActivity(text, same)
}
