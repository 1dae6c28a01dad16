//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"hotswap/internal/extents"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// holder is where the snapshot goes that a patch is based on.
type holder struct {
	io.Writer
	transfer.Held
}

func (h *holder) Hold(held transfer.Held) { h.Held = held }

// patched is the source of a push that has a base.
type patched struct {
	*extents.Reader
	base transfer.Held
}

func (p patched) Read([]byte) (int, error) { panic("a patch has no bytes") }
func (p patched) Base() transfer.Held      { return p.base }
func (p patched) Begin() (int64, error)    { return p.Size, nil }

// pushPatch takes a snapshot, and pushes what differs from it: as a server does for a
// client elsewhere, from its first request to its last.
func pushPatch(opts swapper.PushOptions) func(*victim) (swapper.Report, error) {
	opts.Source, opts.Timeout = "patch", lockTimeout
	return func(v *victim) (swapper.Report, error) {
		ctx := context.Background()
		var h holder
		if report, err := swapper.Pull(ctx, v.db, &h, swapper.PullOptions{Dest: "the base of a push"}); err != nil {
			return report, notBegun(v, "hold a snapshot", err)
		}
		defer h.Release()
		patch, err := makePatch(ctx, h.Held, v.image)
		if err != nil {
			return swapper.Report{}, notBegun(v, "compare the snapshot", err)
		}
		reader, err := extents.NewReader(patch)
		if err != nil {
			return swapper.Report{}, err
		}
		defer reader.Close()
		return swapper.Push(ctx, v.db, patched{reader, h.Held}, opts)
	}
}

// notBegun is what a client says of a push that has not begun.
func notBegun(v *victim, doing string, err error) error {
	return &swapper.Error{Op: "push to", Path: v.path, Err: fmt.Errorf("%s: %w", doing, err), Hint: "the live database is unchanged"}
}

func makePatch(ctx context.Context, base transfer.Held, image []byte) (io.Reader, error) {
	layout := extents.Layout{Extent: extents.SmallestExtent}
	file, size := bytes.NewReader(image), int64(len(image))
	diff := extents.NewDiff(layout, file, size, base.Size(), false)
	var hashes, patch bytes.Buffer
	if err := layout.HashGroups(ctx, base, base.Size(), layout.Groups(base.Size()), func(h extents.Hash) error { hashes.Write(h[:]); return nil }); err != nil {
		return nil, err
	}
	if err := diff.Compare(ctx, &hashes); err != nil {
		return nil, err
	}
	for {
		groups, more, err := diff.Ask()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		err = layout.HashExtents(ctx, base, base.Size(), groups, func(_ int, h []byte) error { hashes.Write(h); return nil })
		if err != nil {
			return nil, err
		}
		if err := diff.Answer(ctx, &hashes); err != nil {
			return nil, err
		}
	}
	header := extents.Header{Extent: layout.Extent, Size: size}
	sum := func() ([32]byte, error) { return sha256.Sum256(image), nil }
	return &patch, extents.Write(ctx, &patch, header, file, diff.Differing(), sum, func(int64) {})
}
