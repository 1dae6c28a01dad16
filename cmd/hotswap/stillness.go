package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"hotswap/driver"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
	"hotswap/swapper"
)

// stillAfter is for how long nothing may happen before it is said what is waited for; a
// variable for tests.
var stillAfter = 5 * time.Second

// answerPatience is how long a program that does not hang takes to answer.
const answerPatience = time.Second

// stillness says what a command waits for when nothing has happened for a while: each
// thing once. It ends nothing.
type stillness struct {
	asked  atomic.Pointer[endpoint] // nil: none yet
	say    func(format string, args ...any)
	copies bool                   // else the command only asks the program
	moves  atomic.Int64           // of whatever shows that it goes on
	local  atomic.Pointer[string] // what is waited for here, if it is not the program
	step   atomic.Pointer[swapper.Step]
}

// asks notes which program it is that the command talks to from now on.
func (s *stillness) asks(p *endpoint) {
	if s != nil {
		s.asked.Store(p)
	}
}

// waits says what is waited for on this side from now on; "" for nothing.
func (s *stillness) waits(format string, args ...any) {
	if s == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	s.local.Store(&text)
	s.moves.Add(1)
}

// reached notes a step of the program's.
func (s *stillness) reached(step swapper.Step) {
	s.step.Store(&step)
	s.moves.Add(1)
}

// watch watches until stop, which waits for what is being said.
func (s *stillness) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(stillAfter / 5)
		defer ticker.Stop()
		moves, since, said := int64(0), time.Now(), ""
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if now := s.moves.Load(); now != moves {
				moves, since = now, time.Now()
			}
			if time.Since(since) < stillAfter {
				continue
			}
			since = time.Now()
			if what := s.what(ctx); what != "" && what != said && ctx.Err() == nil {
				said = what
				s.say("hotswap: still waiting: %s", what)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// what is waited for; "" if the status lines have said it.
func (s *stillness) what(ctx context.Context) string {
	if local := s.local.Load(); local != nil && *local != "" {
		return *local
	}
	p := s.asked.Load()
	if p == nil {
		return ""
	}
	patience := answerPatience
	if p.far() {
		patience *= 10 // a slow line may be full
	}
	answer, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := p.client.Version(answer); answer.Err() != nil {
		return p.whoHangs(ctx)
	} else if err != nil {
		return "" // it will be an error of the command's own
	}
	if !s.copies {
		return ""
	}
	if step := s.step.Load(); step != nil {
		switch *step {
		case swapper.StepReceiving:
			return "for more of the source"
		case swapper.StepSending:
			return "nobody takes more of the copy"
		}
	}
	// Peers that hang take two seconds.
	answer, cancel = context.WithTimeout(ctx, 4*patience)
	defer cancel()
	list, err := p.client.Databases(answer, "")
	if err != nil {
		return ""
	}
	for _, db := range list {
		if db.Stats.OnSwap > 0 {
			return "for OnSwap callbacks of the program, which run after the swap"
		}
		for _, peer := range db.Peers {
			if peer.Stats != nil && peer.Stats.OnSwap > 0 {
				return fmt.Sprintf("for OnSwap callbacks of %s, which run after the swap", peer)
			}
		}
	}
	return ""
}

// whoHangs names the program that takes connections and does not answer.
func (p *endpoint) whoHangs(ctx context.Context) string {
	socket := p.client.SocketPath()
	if p.far() {
		return "the program at " + printable.Line(socket) + " does not answer, or the connection is too slow"
	}
	who := peers.Process{}
	if strings.HasPrefix(socket, "@") {
		socket = "./" + socket
	}
	dialer := net.Dialer{Timeout: answerPatience}
	if conn, err := dialer.DialContext(ctx, "unix", socket); err == nil {
		who = peers.Of(conn.(*net.UnixConn))
		conn.Close()
	}
	name := driver.Peer{PID: who.PID, Program: who.Command()}
	switch socket = printable.Line(p.client.SocketPath()); {
	case who.PID == 0:
		return "the program at " + socket + " does not answer"
	case name.Program == "systemd":
		return "no program has taken over " + socket + " from systemd: it is starting, or its unit has no FileDescriptorName=hotswap"
	case who.Stopped():
		return fmt.Sprintf("%s is stopped; `kill -CONT %d` lets it go on", name, who.PID)
	default:
		return fmt.Sprintf("%s does not answer at %s: it hangs, or is very busy", name, socket)
	}
}

// stillness is for commands that only ask the program.
func (s *streams) stillness() *stillness {
	return &stillness{say: func(format string, args ...any) {
		fmt.Fprintln(s.err, indent(fmt.Sprintf(format, args...)))
	}}
}
