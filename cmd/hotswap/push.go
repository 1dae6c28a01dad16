package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hotswap/internal/printable"
	"hotswap/sockserver"
	"hotswap/swapper"
)

const (
	// settleTimeout is how long the last status line may take once the answer
	// is there: the server sends it first.
	settleTimeout = 2 * time.Second
	// abortTimeout is how long an interrupted push waits for the result.
	abortTimeout = 10 * time.Second
)

// patience is how long the last status line may take.
func patience(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return abortTimeout
	}
	return settleTimeout
}

// pushFromFile swaps in a file of the client's, or standard input.
func (c *cpCmd) pushFromFile(ctx context.Context, src, dst side, out *output) error {
	source, err := openSource(ctx, src, out)
	if err != nil {
		return err
	}
	defer source.Close()
	c.begin(out)
	if err := source.waitForData(ctx, out); err != nil {
		return err
	}
	return c.push(ctx, source, dst, out)
}

// pushFromDatabase swaps a snapshot of one managed database into another. The
// push gets its end only after the snapshot proved complete.
func (c *cpCmd) pushFromDatabase(ctx context.Context, src, dst side, out *output) error {
	c.begin(out)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read, write := io.Pipe()
	defer read.Close()
	begun, pulled := make(chan int64, 1), make(chan error, 1)
	go func() {
		_, err := src.program.client.Snapshot(ctx, src.path, write, sockserver.SnapshotParams{
			Dest:  dst.name(),
			Begin: func(size int64) { begun <- size },
		})
		pulled <- err
		if err != nil {
			err = &failure{code: exitCode(err), err: fmt.Errorf("copy %s: %w", printable.Line(src.name()), err)}
		}
		write.CloseWithError(err) // nil is io.EOF
	}()
	var size int64
	select {
	case size = <-begun:
	case err := <-pulled:
		if err == nil {
			err = fmt.Errorf("%w: nothing came", sockserver.ErrIncomplete)
		}
		return fmt.Errorf("copy %s: %w", printable.Line(src.name()), err)
	}
	source := &source{Reader: read, name: src.name(), size: size}
	defer source.Close()
	return c.push(ctx, source, dst, out)
}

// begin says that a push begins. One that may change nothing says so once it is
// known that it will.
func (c *cpCmd) begin(out *output) {
	if !c.IfChanged {
		out.announce()
	}
}

// push swaps source in, and prints the result.
func (c *cpCmd) push(ctx context.Context, source *source, dst side, out *output) error {
	client := dst.program.client
	digest := ""
	if c.IfChanged {
		var err error
		if digest, err = source.digest(ctx, out); err != nil {
			return err
		}
	}
	params := c.pushParams(source)
	params.IfChanged = digest
	out.id = params.ID
	out.current = newTransfer(params.Size)
	lines := follow(ctx, client, params.ID, out)
	defer lines.close()
	if out.live != nil {
		out.live.showTransfer("sending", out.current.bar, true)
	}
	content := countedReader{source, source.file, out.current, func() {
		if lines.sub == nil && out.live != nil {
			out.live.endActivity(true)
			out.live.showActivity("sent: waiting for the program", false)
		}
	}}
	report, err := client.Push(ctx, dst.path, content, params)
	if _, unreached := errors.AsType[*sockserver.DialError](err); !unreached {
		lines.wait(patience(ctx))
	}
	lines.close()
	out.close()
	if err == nil {
		return out.done(report)
	}
	if _, isProblem := errors.AsType[*sockserver.Problem](err); report.Swapped && !isProblem && lines.last == nil {
		return &failure{code: exitFailed, err: err, note: "the new database is live in " + printable.Line(dst.name()), live: newIsLive}
	}
	err = outcome(err, lines, dst.name(), dst.statusCommand())
	if late, ok := errors.AsType[*doneAnyway](err); ok {
		out.say("hotswap: %v, but too late: the swap was done", late.err)
		return out.done(late.report)
	}
	return err
}

// doneAnyway is a push that succeeded after its client had given up.
type doneAnyway struct {
	report swapper.Report
	err    error // why it had
}

func (d *doneAnyway) Error() string { return d.err.Error() }

// outcome finds out how a push that returned err ended, from its answer or else
// from its status lines, and returns an error that says so. status is the command that
// shows the program's state.
func outcome(err error, lines *follower, target, status string) error {
	target = printable.Line(target)
	unchanged := target + " is unchanged"
	if f, ok := errors.AsType[*failure](err); ok { // of the source
		return &failure{code: f.code, err: err, note: unchanged}
	}
	if p, ok := errors.AsType[*sockserver.Problem](err); ok {
		return describeProblem(err, p, unchanged)
	}
	unknown := errors.Is(err, swapper.ErrOutcomeUnknown)
	interrupted := errors.Is(err, errInterrupted)
	switch last := lines.last; {
	case last != nil && last.Report != nil:
		return &doneAnyway{*last.Report, whyGivenUp(err)}
	case last != nil && last.Problem != nil && (!interrupted || swapped(last.Problem)):
		return describeProblem(last.Problem, last.Problem, unchanged)
	case last == nil && lines.renamed:
		f := failf(exitFailed, "%w; the new database went live in %s before that", whyGivenUp(err), target)
		f.live = newIsLive
		return f.withHint("run `%s` to see the state of the program", status)
	case last == nil && unknown:
		f := failf(exitFailed, "%w; whether %s was swapped is unknown", whyGivenUp(err), target)
		f.live = liveUnknown
		return f.withHint("run `%s` to see when the last swap was; if the program has ended, start it again: it removes what was left, and has the old database or the new one, whole", status)
	default:
		return &failure{code: exitCode(err), err: whyGivenUp(err), note: unchanged}
	}
}

func describeProblem(err error, p *sockserver.Problem, unchanged string) error {
	if p.Report != nil || p.Type == sockserver.ProblemInternal {
		return err // it says what the database is, or that it can't know
	}
	return &failure{code: exitCode(err), err: err, note: unchanged}
}

func swapped(p *sockserver.Problem) bool { return p.Report != nil && p.Report.Swapped }

// whyGivenUp leaves out that the outcome is unknown, where it has been found out.
func whyGivenUp(err error) error {
	if errors.Is(err, errInterrupted) {
		return errInterrupted
	}
	if errors.Is(err, sockserver.ErrConnectionLost) {
		return sockserver.ErrConnectionLost
	}
	return err
}
