package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Message is one of a stream, without what it has.
type Message struct {
	Subject        string
	Sequence, Size uint64
}

// listAttempts is how often a listing is begun again that stops coming.
const listAttempts = 5

// List lists the messages of a stream up to a sequence, without reading what they have.
// A server that is behind may lack some.
func (e *Engine) List(ctx context.Context, stream jetstream.Stream, last uint64) (all []Message, err error) {
	for range listAttempts {
		err = e.unlessDenied(ctx, func(ctx context.Context) (err error) {
			all, err = list(ctx, stream, last)
			return err
		})
		if err == nil || ctx.Err() != nil || !unanswered(err) {
			break
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return all, e.Explain("list the stream "+stream.CachedInfo().Config.Name, err)
}

func list(ctx context.Context, stream jetstream.Stream, last uint64) (all []Message, err error) {
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for ctx.Err() == nil {
		m, err := messages.Next(jetstream.NextMaxWait(attemptPatience))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if meta.Sequence.Stream <= last {
			size, _ := strconv.ParseUint(m.Headers().Get("Nats-Msg-Size"), 10, 64)
			all = append(all, Message{m.Subject(), meta.Sequence.Stream, size})
		}
		if meta.NumPending == 0 || meta.Sequence.Stream >= last {
			return all, nil
		}
	}
	return nil, ctx.Err()
}

// DeleteSequence removes one message, if it is still there under that sequence.
func (e *Engine) DeleteSequence(ctx context.Context, stream jetstream.Stream, sequence uint64) (gone bool, err error) {
	for try := 0; ; try++ {
		err = e.unlessDenied(ctx, func(ctx context.Context) error { return stream.DeleteMsg(ctx, sequence) })
		switch {
		case err == nil:
			return true, nil
		case isGone(err):
			return false, nil
		case try == 3 || ctx.Err() != nil || errors.Is(err, ErrNotPermitted):
			return false, e.Explain(fmt.Sprintf("remove message %d", sequence), err)
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// isGone reports whether there was nothing to remove. What the server says of it, nats.go
// passes on as a text.
func isGone(err error) bool {
	if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return errors.Is(err, jetstream.ErrMsgNotFound)
	}
	return strings.Contains(err.Error(), "no message found") || strings.Contains(err.Error(), "deleted message") ||
		strings.Contains(err.Error(), "not found")
}
