package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
)

// ErrChunk: a chunk is not there, or is not what its name says.
var ErrChunk = errors.New("a chunk can't be had")

// mostChunk is how many bytes a chunk may have, so that it fits into a message of 1 MiB.
const mostChunk = 512 << 10

// put writes a chunk, and returns when the engine has it.
func (r *Repository) put(ctx context.Context, n name, chunk []byte) error {
	err := r.engine.Retry(ctx, func(ctx context.Context) error {
		_, err := r.engine.JetStream().Publish(ctx, engine.ChunkSubject(n.String()), chunk)
		return err
	})
	return r.engine.Explain("publish", ended(ctx, err))
}

// get reads a chunk. Any server may answer, and one that is behind may not have it yet, or
// have it damaged: then the leader is asked.
func (r *Repository) get(ctx context.Context, n name) ([]byte, error) {
	subject := engine.ChunkSubject(n.String())
	var data []byte
	err := r.engine.Retry(ctx, func(ctx context.Context) error {
		message, err := r.chunks.GetLastMsgForSubject(ctx, subject)
		if err == nil {
			data = message.Data
		}
		return err
	})
	if err == nil && nameOf(data) == n {
		return data, nil
	}
	if ctx.Err() == nil {
		err = r.engine.Retry(ctx, func(ctx context.Context) (err error) {
			data, _, err = r.engine.FromLeader(ctx, engine.ChunkStream, subject)
			return err
		})
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, fmt.Errorf("%w: %s is not there", ErrChunk, n)
	case err != nil:
		return nil, r.engine.Explain("fetch", err)
	case nameOf(data) != n:
		return nil, fmt.Errorf("%w: what is kept as %s is something else", ErrChunk, n)
	}
	return data, nil
}

// ended is the cause of the end of a context, if that is why something failed.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// readIndex reads the index of a version.
func (r *Repository) readIndex(ctx context.Context, m Manifest) (x index, err error) {
	var compressed []byte
	for _, text := range m.Index {
		n, err := parseName(text)
		if err != nil {
			return x, err
		}
		chunk, err := r.get(ctx, n)
		if err != nil {
			return x, fmt.Errorf("the index of %s: %w", m.Version, err)
		}
		compressed = append(compressed, chunk...)
	}
	if x, err = parseIndex(compressed, m.layout().Extents(m.Size), m.Extent); err != nil {
		return x, fmt.Errorf("%s: %w", m.Version, err)
	}
	return x, nil
}

// readDigests reads the digests of all extents.
func (r *Repository) readDigests(ctx context.Context, x index) ([]digest, error) {
	digests := make([]digest, 0, x.extents)
	for b := range x.blocks {
		part, err := r.readBlock(ctx, x, b)
		if err != nil {
			return nil, err
		}
		digests = append(digests, part...)
	}
	return digests, nil
}

// readBlock reads those of one block.
func (r *Repository) readBlock(ctx context.Context, x index, b int) ([]digest, error) {
	chunk, err := r.get(ctx, x.blocks[b])
	if err != nil {
		return nil, fmt.Errorf("the digests: %w", err)
	}
	n := min(blockExtents, x.extents-b*blockExtents)
	if len(chunk) != n*len(digest{}) {
		return nil, fmt.Errorf("%w: a block of digests has %d bytes and not %d", ErrIndex, len(chunk), n*len(digest{}))
	}
	digests := make([]digest, n)
	for i := range digests {
		digests[i] = digest(chunk[i*len(digest{}):])
	}
	return digests, nil
}
