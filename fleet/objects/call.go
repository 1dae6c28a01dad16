package objects

import (
	"context"
	"fmt"
	"io"
	"time"

	"hotswap/internal/repository"
)

// mostCalls is how many calls of a storage may run: each one that hangs has a thread.
const mostCalls = 64

// opens are the buckets that are being opened.
var opens = make(chan struct{}, mostCalls)

// patience is how long a call may take in which nothing moves.
var patience = time.Minute

// call calls the storage, and returns when it has answered, when nothing has moved for too long,
// or when ctx ends: a file system that is away, or a pipe in the place of a file, ends no call,
// whatever its context says. do is given what it calls when something has moved.
func call[T any](ctx context.Context, calls chan struct{}, what string, do func(context.Context, func()) (T, error)) (result T, err error) {
	silent := fmt.Errorf("%s: %w for %v", what, repository.ErrObjectsSilent, patience)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	idle := time.AfterFunc(patience, func() { end(silent) })
	defer idle.Stop()
	select {
	case calls <- struct{}{}:
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
	type answer struct {
		result T
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() { <-calls }()
		result, err := do(ctx, func() { idle.Reset(patience) })
		answers <- answer{result, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil && ctx.Err() != nil {
			return result, context.Cause(ctx)
		}
		return a.result, told(a.err)
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

// moving tells of what moves through a reader.
type moving struct {
	io.Reader
	moves func()
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.moves()
	}
	return n, err
}
