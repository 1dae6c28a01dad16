package sockserver

import (
	"sync"

	"hotswap/swapper"
)

// subscriberBuffer is how many lines a subscriber may be behind.
const subscriberBuffer = 256

// Line is one line of the stderr socket: an event of a command, or its end.
type Line struct {
	// Command is the id of the command that the line belongs to, Verb is "push"
	// or "pull", and Path its database.
	Command string `json:"command,omitempty"`
	Verb    string `json:"verb,omitempty"`
	Path    string `json:"path,omitempty"`
	swapper.Event
	// Dropped is how many lines before this one were dropped because the
	// reader was too slow.
	Dropped int `json:"dropped,omitempty"`
	// Last is set on a command's last line, which has its Report if it
	// succeeded, or its Problem.
	Last    bool            `json:"last,omitempty"`
	Report  *swapper.Report `json:"report,omitempty"`
	Problem *Problem        `json:"problem,omitempty"`

	through *api // what the command came through
}

// feed hands the lines of the program's commands to its subscribers. Publishing never
// waits: a subscriber that is too slow loses its oldest lines, never the last.
type feed struct {
	// mu guards the fields below and those of every outlet and subscriber. It is held
	// for a few assignments and a copy at most; nobody reads or writes a
	// connection under it.
	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

func newFeed() *feed {
	return &feed{subscribers: make(map[*subscriber]struct{})}
}

// outlet is where a Server or a Handler takes lines from the feed, until it is closed.
type outlet struct {
	*feed
	closed bool // guarded by feed.mu
}

func (f *feed) outlet() *outlet { return &outlet{feed: f} }

// subscriber is one reader of the feed: of one command, or of all if id is empty.
type subscriber struct {
	outlet *outlet
	id     string
	wake   chan struct{} // has room for one: "take again"

	// Guarded by the feed's mu.
	lines   []Line // oldest first, at most subscriberBuffer
	dropped int    // lines lost before lines[0]
	ended   bool   // nothing follows lines
}

// subscribe registers a reader; every line published after it returned reaches
// the reader or is counted as dropped.
func (o *outlet) subscribe(id string) *subscriber {
	s := &subscriber{outlet: o, id: id, wake: make(chan struct{}, 1)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		s.endLocked()
		return s
	}
	o.subscribers[s] = struct{}{}
	return s
}

// publish hands a line to its readers. A last line ends those of its command.
func (f *feed) publish(line Line) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		if s.id != "" && s.id != line.Command {
			continue
		}
		s.addLocked(line)
		if line.Last && s.id != "" {
			s.endLocked()
		}
	}
}

// close ends each of the outlet's subscriptions once it has read what there is.
func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for s := range o.subscribers {
		if s.outlet == o {
			s.endLocked()
		}
	}
}

func (s *subscriber) addLocked(line Line) {
	if len(s.lines) == subscriberBuffer {
		s.lines = append(s.lines[:0], s.lines[1:]...)
		s.dropped++
	}
	s.lines = append(s.lines, line)
	s.wakeUp()
}

func (s *subscriber) endLocked() {
	s.ended = true
	delete(s.outlet.subscribers, s)
	s.wakeUp()
}

func (s *subscriber) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns what has come since the last call; more is false once nothing
// will follow. A caller waits for wake when there is more but no line.
func (s *subscriber) take() (lines []Line, more bool) {
	s.outlet.mu.Lock()
	defer s.outlet.mu.Unlock()
	lines, s.lines = s.lines, nil
	if len(lines) > 0 {
		lines[0].Dropped, s.dropped = s.dropped, 0
	}
	return lines, !s.ended
}

// cancel unregisters the reader.
func (s *subscriber) cancel() {
	s.outlet.mu.Lock()
	defer s.outlet.mu.Unlock()
	s.endLocked()
}
