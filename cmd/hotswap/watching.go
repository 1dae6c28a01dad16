package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/mattn/go-isatty"
)

// watching shows a status again and again: in a terminal over the one before, else one
// after another.
type watching struct {
	title string
	every time.Duration
	json  bool
}

// show ends with the context, which is no error, or with an error of block.
func (w watching) show(ctx context.Context, stdio *streams, block func() ([]byte, error)) error {
	screen := !w.json && isatty.IsTerminal(stdio.out.Fd())
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for first := true; ; first = false {
		text, err := block()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case screen:
			text = redraw(w.title, w.every, text, columns(stdio.out), first)
		case !first && !w.json:
			text = append([]byte("\n"), text...)
		}
		if _, err := stdio.out.Write(text); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// redraw puts a block over the one before. Its lines are truncated rather than
// wrapped, so that the screen keeps its rows.
func redraw(title string, every time.Duration, block []byte, width int, first bool) []byte {
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	if first {
		b.WriteString("\x1b[J")
	}
	fmt.Fprintf(&b, "%s\x1b[K\n\x1b[K\n", pb.StripString(title+", every "+every.String()+"; Ctrl-C ends it", width))
	for line := range bytes.Lines(block) {
		b.WriteString(pb.StripString(string(bytes.TrimRight(line, "\n")), width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	return b.Bytes()
}
