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

// chunks are where the chunks of a version are. dir is the directory in object storage, and
// "" on the engine.
type chunks interface {
	// put writes a chunk, and returns when it is kept.
	put(ctx context.Context, dir string, n name, chunk []byte) error
	// get reads a chunk, which is what its name says.
	get(ctx context.Context, dir string, n name) ([]byte, error)
	// missing counts the chunks of a version that are not there.
	missing(ctx context.Context, x index, parts []name) (int, error)
}

// streamed are the chunks on the engine.
type streamed struct{ *Repository }

func (r streamed) put(ctx context.Context, _ string, n name, chunk []byte) error {
	err := r.engine.Retry(ctx, func(ctx context.Context) error {
		_, err := r.engine.JetStream().Publish(ctx, engine.ChunkSubject(n.String()), chunk)
		return err
	})
	return r.engine.ExplainWrite("publish", ended(ctx, err))
}

// get asks any server, and one that is behind may not have it yet, or have it damaged: then
// the leader is asked.
func (r streamed) get(ctx context.Context, _ string, n name) ([]byte, error) {
	subject := engine.ChunkSubject(n.String())
	var data []byte
	err := r.engine.Retry(ctx, func(ctx context.Context) error {
		message, err := r.stream.GetLastMsgForSubject(ctx, subject)
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

// missing asks the leader.
func (r streamed) missing(ctx context.Context, x index, parts []name) (missing int, err error) {
	var info *jetstream.StreamInfo
	err = r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		info, err = r.stream.Info(ctx, jetstream.WithSubjectFilter(engine.ChunkSubjects))
		return err
	})
	if err != nil {
		return 0, r.engine.Explain("look for the chunks", ended(ctx, err))
	}
	for n := range namesOf(x, parts) {
		if info.State.Subjects[engine.ChunkSubject(n.String())] == 0 {
			missing++
		}
	}
	return missing, nil
}

// chunksOf are those of a version.
func (r *Repository) chunksOf(ctx context.Context, m Manifest) (chunks, error) {
	if m.Objects == nil {
		return streamed{r}, nil
	}
	return r.bucket(ctx, m.Objects.URL)
}

// readIndex reads the index of a version.
func readIndex(ctx context.Context, from chunks, m Manifest) (x index, err error) {
	var compressed []byte
	for _, text := range m.Index {
		n, err := parseName(text)
		if err != nil {
			return x, err
		}
		chunk, err := from.get(ctx, m.dir(), n)
		if err != nil {
			return x, fmt.Errorf("the index of %s: %w", m.Version, err)
		}
		compressed = append(compressed, chunk...)
	}
	if x, err = parseIndex(compressed, m.layout().Extents(m.Size), m.Extent); err != nil {
		return x, fmt.Errorf("%s: %w", m.Version, err)
	}
	if len(x.dirs) > 0 != (m.Objects != nil) {
		return x, fmt.Errorf("%s: %w: its chunks are not where its manifest says", m.Version, ErrIndex)
	}
	return x, nil
}

// readDigests reads the digests of all extents.
func readDigests(ctx context.Context, from chunks, x index) ([]digest, error) {
	digests := make([]digest, 0, x.extents)
	for b := range x.blocks {
		part, err := readBlock(ctx, from, x, b)
		if err != nil {
			return nil, err
		}
		digests = append(digests, part...)
	}
	return digests, nil
}

// readBlock reads those of one block.
func readBlock(ctx context.Context, from chunks, x index, b int) ([]digest, error) {
	chunk, err := from.get(ctx, x.in(x.blocks[b]), x.blocks[b].name)
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
