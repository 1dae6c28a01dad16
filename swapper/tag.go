package swapper

import (
	"context"

	"hotswap/internal/snapshot"
	"hotswap/internal/statetag"
)

// tagOf returns the tag of a snapshot.
func tagOf(ctx context.Context, s *snapshot.Snapshot) (string, error) {
	content, err := s.Reader(ctx)
	if err != nil {
		return "", err
	}
	return statetag.Of(ctx, content, s.Size())
}

// tagging computes a tag on a goroutine of its own, beside the copying.
type tagging struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when tag and err are set
	tag    string
	err    error
}

// startTag runs compute, which gives up when its context ends, if a tag is asked for. It
// returns nil otherwise.
func (p *pull) startTag(ctx context.Context, compute func(context.Context) (string, error)) *tagging {
	if !p.opts.Tag {
		return nil
	}
	t := &tagging{done: make(chan struct{})}
	ctx, t.cancel = context.WithCancel(ctx)
	go func() {
		defer close(t.done)
		t.tag, t.err = compute(ctx)
	}()
	return t
}

// wait returns the tag; "" of nil.
func (t *tagging) wait() (string, error) {
	if t == nil {
		return "", nil
	}
	<-t.done
	if t.err != nil {
		return "", failed("read the snapshot", t.err)
	}
	return t.tag, nil
}

// stop returns once nothing is read any longer.
func (t *tagging) stop() {
	if t == nil {
		return
	}
	t.cancel()
	<-t.done
}
