package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Headers calls each for the messages of a stream up to a sequence, with their sizes and
// without reading what they have.
func (e *Engine) Headers(ctx context.Context, stream jetstream.Stream, last uint64, each func(subject string, sequence, size uint64)) error {
	name := stream.CachedInfo().Config.Name
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return e.Explain("list the stream "+name, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return e.Explain("list the stream "+name, err)
	}
	if info.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return e.Explain("list the stream "+name, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(requestPatience))
		if err != nil {
			return e.Explain("list the stream "+name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("list the stream %s: %w", name, err)
		}
		if meta.Sequence.Stream > last {
			return nil
		}
		var size uint64
		fmt.Sscan(m.Headers().Get("Nats-Msg-Size"), &size)
		each(m.Subject(), meta.Sequence.Stream, size)
		if meta.NumPending == 0 || meta.Sequence.Stream == last {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// DeleteSequence removes one message, if it is still there under that sequence.
func (e *Engine) DeleteSequence(ctx context.Context, stream jetstream.Stream, sequence uint64) (gone bool, err error) {
	for try := 0; ; try++ {
		err = stream.DeleteMsg(ctx, sequence)
		switch {
		case err == nil:
			return true, nil
		case isGone(err):
			return false, nil
		case try == 3 || ctx.Err() != nil:
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
