package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// attemptPatience is how long one attempt waits for its answer.
	attemptPatience = 5 * time.Second
	// electionPatience is how long a cluster may take to have a leader again.
	electionPatience = 30 * time.Second
	// retryPause is how long the first wait between attempts is, and retryMost how long any.
	retryPause = 50 * time.Millisecond
	retryMost  = time.Second
)

// Retry does something again that nobody has answered, until it is answered or a cluster
// whose leader died would have another one. It must be right to do it twice: whether what
// was not answered was done is not known.
func (e *Engine) Retry(ctx context.Context, do func(context.Context) error) error {
	began, pause := time.Now(), retryPause
	for {
		tried := time.Now()
		attempt, cancel := context.WithTimeout(ctx, e.Patience())
		err := e.unlessDenied(attempt, do)
		cancel()
		if err == nil || ctx.Err() != nil || !unanswered(err) || e.deniedSince(tried) != nil || e.conn.IsClosed() {
			return err
		}
		if time.Since(began) > electionPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, retryMost)
		}
	}
}

// unanswered reports whether an error says that there was no answer.
func unanswered(err error) bool {
	switch code(err) {
	case codeNoLeader, codeNotAvailable:
		return true
	}
	if _, network := errors.AsType[net.Error](err); network { // the connection broke under it
		return true
	}
	for _, kind := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrStaleConnection, io.EOF, jetstream.ErrNoStreamResponse, errGathering} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
