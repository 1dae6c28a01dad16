package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/sockserver"
)

// answerLimit bounds what the other end takes to find the program; each one that hangs
// takes a quarter of it. What ssh takes is its user's business, who may have to be asked.
const answerLimit = time.Minute

// reach connects to the program on another machine that has something to do with the
// address; base is the name in it, if it turns out to be a directory.
func (s sockets) reach(ctx context.Context, still *stillness, to address, base string) (*endpoint, dialAnswer, error) {
	var answer dialAnswer
	if s.StderrSocket != "" {
		return nil, answer, usagef("--stderr-socket is for a program of this machine: the status lines of one at %s come through the other socket", to.arg)
	}
	if !isatty.IsTerminal(os.Stderr.Fd()) { // where ssh may be asking for a password
		still.waits("for the connection to %s", to.host)
		defer still.waits("")
	}
	link, err := startSSH(to)
	if err != nil {
		return nil, answer, err
	}
	through, err := link.open(ctx)
	if err != nil {
		return nil, answer, err
	}
	asking, cancel := context.WithTimeoutCause(ctx, answerLimit, failf(exitNoServer, "%s: hotswap there has not answered within %v", to.host, answerLimit))
	defer cancel()
	stop := context.AfterFunc(asking, func() { through.Close() })
	err = through.Ask(dialQuestion{Path: []byte(to.path), Base: []byte(base), Socket: []byte(s.Socket)}, &answer)
	if !stop() {
		return nil, answer, context.Cause(asking)
	}
	switch {
	case err != nil:
		through.Close()
		return nil, answer, failf(exitNoServer, "%s: the connection was lost while the program was looked for: %w", to.host, err)
	case answer.Exit != 0:
		through.Close()
		return nil, answer, answer.failure(to)
	}
	if s.Socket != "" {
		link.socket = string(answer.Socket)
	}
	label := to.host + ":" + string(answer.Socket)
	client := sockserver.NewClient(sockserver.ClientConfig{
		SocketPath: label, StderrSocketPath: label,
		Dial: func(context.Context, string) (net.Conn, error) { return through.Dial() },
	})
	p := &endpoint{client: client, link: link, close: func() {
		client.Close()
		through.Close()
	}}
	still.asks(p)
	return p, answer, nil
}

// failure is what was wrong there.
func (a dialAnswer) failure(to address) *failure {
	code := exitFailed
	for _, row := range exitCodes {
		if row.code == a.Exit {
			code = a.Exit
		}
	}
	return &failure{code: code, err: fmt.Errorf("on %s: %s", to.host, a.Error), hint: a.Hint}
}

// remoteSide is what an address was found to be; only a managed database will do.
func (c *cpCmd) remoteSide(ctx context.Context, still *stillness, to address, base string) (side, error) {
	p, answer, err := c.reach(ctx, still, to, base)
	if err != nil {
		return side{}, err
	}
	c.programs = append(c.programs, p)
	if !answer.Managed {
		return side{}, c.notManaged(ctx, p, to, answer)
	}
	return side{arg: to.arg, path: string(answer.Path), managed: true, program: p, mode: answer.Mode}, nil
}

func (c *cpCmd) notManaged(ctx context.Context, p *endpoint, to address, answer dialAnswer) error {
	list, err := p.client.Databases(ctx, "")
	if err != nil {
		return err
	}
	f := usagef("%s is not a managed database; the program on %s manages %s", to.arg, to.host, listed(list))
	if answer.Dir {
		f = usagef("%s is a directory; the program on %s manages %s", to.arg, to.host, listed(list))
	}
	return f.withHint("name one of those; a file there is copied with scp")
}
