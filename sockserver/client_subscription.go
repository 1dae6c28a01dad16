package sockserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Subscription is a stream of status lines. Its methods are for one goroutine,
// except Close, which may be called from any.
type Subscription struct {
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	body   io.ReadCloser
	line   *io.LimitedReader // what the next line may take
	lines  *json.Decoder
	idle   bool
}

var errClosed = errors.New("the subscription is closed")

// Subscribe subscribes to the status lines of the command id, or of every command
// if id is empty. Lines of a command that starts after Subscribe has returned
// are not missed, unless the caller reads too slowly (see [Line.Dropped]). ctx
// bounds Subscribe only: the subscription lasts until Close.
func (c *Client) Subscribe(ctx context.Context, id string) (*Subscription, error) {
	query := url.Values{}
	if id != "" {
		query.Set(paramID, id)
	}
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, cancelWait := c.answered(ctx, c.stderrSocket)
	defer cancelWait()
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	s := &Subscription{ctx: lasting, cancel: func() { cancel(errClosed) }}
	req, err := newRequest(lasting, http.MethodGet, "/v1/events", query, nil)
	if err != nil {
		s.cancel()
		return nil, err
	}
	req.Header.Set("Accept", typeNDJSON)
	res, err := send(c.events, req)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.from(res.Body)
	s.idle = res.Header.Get(headerUnderWay) == "false"
	return s, nil
}

func (s *Subscription) from(body io.ReadCloser) {
	s.body, s.line = body, &io.LimitedReader{R: body}
	s.lines = json.NewDecoder(s.line)
}

// UnderWay returns false if no command of that id was in progress when the
// subscription began. One may begin later, and the last line of one that has
// just ended may still come.
func (s *Subscription) UnderWay() bool { return !s.idle }

// Next waits for a line. It returns io.EOF after the last line of the
// subscription's command, and when the server closes; ErrConnectionLost if the
// server goes away; and an error after Close.
func (s *Subscription) Next() (Line, error) {
	var line Line
	s.line.N = maxAnswer
	err := s.lines.Decode(&line)
	switch {
	case err != nil && s.line.N <= 0:
		return line, fmt.Errorf("read a status line: it has no end after %d bytes", int64(maxAnswer))
	case err == nil, err == io.EOF:
		return line, err
	case s.ctx.Err() != nil:
		return line, context.Cause(s.ctx)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, http.ErrBodyReadAfterClose):
		return line, fmt.Errorf("%w: %w", ErrConnectionLost, err)
	default:
		return line, fmt.Errorf("read a status line: %w", err)
	}
}

// Close ends the subscription, and a Next that is waiting.
func (s *Subscription) Close() error {
	s.cancel()
	return s.body.Close()
}
