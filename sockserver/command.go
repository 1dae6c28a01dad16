package sockserver

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/fdpass"
	"hotswap/internal/lognote"
	"hotswap/swapper"
)

// The verbs of the commands that have status lines.
const (
	verbPush = "push"
	verbPull = "pull"
)

type (
	pushFunc func(context.Context, *driver.Database, io.Reader, swapper.PushOptions) (swapper.Report, error)
	pullFunc func(context.Context, *driver.Database, io.Writer, swapper.PullOptions) (swapper.Report, error)
)

// NewID returns a new id for a command: 12 letters and digits.
func NewID() string { return rand.Text()[:12] }

// command is one request as the log and the feed know it. It belongs to its
// handler's goroutine.
type command struct {
	api  *api
	id   string
	verb string
	path string
	log  zerolog.Logger
	info CommandInfo // of its beginning, for others to see
	// descriptor is what came with the request; nil if nothing did.
	descriptor *fdpass.File
	// found is set once path is that of a managed database.
	found bool
	// report is how far the operation came; nil before it began.
	report *swapper.Report
	// operated is set once the operation logs its own failure.
	operated bool
	// listed is set once the end of the command is to be published: its peer is
	// admitted, and its id is unique.
	listed bool
}

func newCommand(a *api, verb string, r *http.Request) *command {
	cmd := &command{api: a, verb: verb}
	values := r.URL.Query()
	cmd.path = values.Get(paramPath)
	if id := values.Get(paramID); id != "" && validID(id) {
		cmd.id = id
	} else {
		cmd.id = NewID()
	}
	cmd.log = a.cfg.Logger.With().Str(fieldID, cmd.id).Logger()
	level := zerolog.DebugLevel
	if verb == verbPush || verb == verbPull {
		level = zerolog.InfoLevel
	}
	cmd.info = CommandInfo{ID: cmd.id, Verb: verb, Since: time.Now(), Source: values.Get(paramSource), Dest: values.Get(paramDest)}
	line := cmd.log.WithLevel(level)
	if peer, ok := r.Context().Value(peerKey{}).(peer); ok && peer.known {
		cmd.info.PID, cmd.info.UID, cmd.info.Command = peer.pid, &peer.uid, peer.command
		line = line.Uint32(fieldUID, peer.uid).Uint32(fieldGID, peer.gid).Int(fieldPID, peer.pid).Str(fieldComm, peer.command)
	}
	lognote.Send(line.Str(fieldVerb, verb).Str(fieldPath, cmd.path), "command")
	return cmd
}

// open begins the command and opens its database, which it keeps managed. The
// caller defers done.
func (c *command) open() (db *driver.Database, done func(), err error) {
	release, err := c.begin()
	if err != nil {
		return nil, nil, err
	}
	found, err := c.api.find(c.path)
	if err != nil {
		release()
		return nil, nil, err
	}
	c.path, c.found = found.path, true
	c.api.program.running.on(c.id, found.path)
	c.api.meet(found.path)
	db, unmanage, err := found.open()
	if err != nil {
		release()
		return nil, nil, err
	}
	return db, func() { unmanage(); release() }, nil
}

// begin claims the command's id. The caller calls release at its end.
func (c *command) begin() (release func(), err error) {
	if !c.api.program.running.add(c.info) {
		c.listed = false
		p := badRequest("parameter %q: a command %q is in progress", paramID, c.id)
		p.Type = ProblemIDInUse
		return nil, p
	}
	return func() { c.api.program.running.remove(c.id) }, nil
}

// notify passes the operation's events on to the feed. Its failure comes as
// the command's last line instead, with the problem.
func (c *command) notify(event swapper.Event) {
	if event.Step == swapper.StepPushFailed || event.Step == swapper.StepPullFailed {
		return
	}
	c.api.program.running.at(c.id, event)
	c.api.program.feed.publish(c.line(event))
}

func (c *command) line(event swapper.Event) Line {
	return Line{Command: c.id, Verb: c.verb, Path: c.path, Event: event, through: c.api}
}

// succeed publishes the last line. It comes before the answer, so that a
// client which has the answer finds the line in its subscription.
func (c *command) succeed(report swapper.Report, step swapper.Step) {
	line := c.line(newEvent(step, "OK"))
	line.Last, line.Report = true, &report
	result := resultOK
	if report.DryRun {
		result = resultDryRun
	}
	c.report = &report
	c.count(result)
	c.api.program.feed.publish(line)
}

// fail logs an error once, publishes it as the command's last line, and
// answers with it.
func (c *command) fail(w *responseWriter, err error) {
	if err == errAnswerLost {
		lognote.Send(c.log.Warn().Err(err).Str(fieldVerb, c.verb), "answer lost")
		return
	}
	p := newProblem(err, c.verb)
	if !c.operated {
		lognote.Send(c.log.Warn().Err(err).Str(fieldVerb, c.verb).Int(fieldStatus, p.Status), "command failed")
	}
	c.answer(w, p)
}

// answer is fail without the log.
func (c *command) answer(w *responseWriter, p *Problem) {
	p.Command, p.Report = c.id, c.report
	c.count(resultOf(p))
	if c.listed {
		line := c.line(newEvent(failedStep(c.verb), p.Detail))
		if p.Hint != "" {
			line.Text += "\n" + p.Hint
		}
		line.Last, line.Problem = true, p
		c.api.program.feed.publish(line)
	}
	if w.began {
		// The status line is sent; all that is left is to break off the body.
		panic(http.ErrAbortHandler)
	}
	p.write(w)
}

func newEvent(step swapper.Step, text string) swapper.Event {
	return swapper.Event{Time: time.Now(), Step: step, Text: text}
}

func failedStep(verb string) swapper.Step {
	if verb == verbPull {
		return swapper.StepPullFailed
	}
	return swapper.StepPushFailed
}
