// Package objects has a program, and the node in it, fetch versions whose chunks are in object
// storage. It is imported for that alone, together with a driver of gocloud.dev/blob for each
// sort of storage:
//
//	import (
//		_ "hotswap/fleet/objects"
//		_ "gocloud.dev/blob/s3blob"
//	)
//
// The manifest of a version says in which bucket its chunks are; what may read there is told
// by the environment, as the driver has it.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"hotswap/internal/repository"
)

func init() { repository.OpenObjects = open }

// bucket is one of gocloud.dev/blob.
type bucket struct {
	*blob.Bucket
	calls chan struct{} // those that run
	dirs  bool          // what is between the slashes of a key are directories
}

func open(ctx context.Context, at string) (repository.Objects, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
		return nil, fmt.Errorf("%w: it has to import %s", repository.ErrNoObjects, repository.Driver(at))
	}
	b, err := call(ctx, opens, "open it", func(ctx context.Context, _ func()) (*blob.Bucket, error) { return blob.OpenBucket(ctx, at) })
	return bucket{b, make(chan struct{}, mostCalls), u.Scheme == "file"}, err
}

// told gives an error its kind.
func told(err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return fmt.Errorf("%w: %w", repository.ErrNoObject, err)
	case gcerrors.PermissionDenied:
		return fmt.Errorf("%w: %w", repository.ErrObjectsForbidden, err)
	}
	return err
}

// Write writes an object, which is there as a whole or not at all.
func (b bucket) Write(ctx context.Context, key string, data []byte) error {
	_, err := call(ctx, b.calls, "write "+key, func(ctx context.Context, _ func()) (struct{}, error) {
		return struct{}{}, b.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: "application/octet-stream"})
	})
	return err
}

// Read reads an object.
func (b bucket) Read(ctx context.Context, key string, most int64) ([]byte, error) {
	return call(ctx, b.calls, "read "+key, func(ctx context.Context, moves func()) ([]byte, error) {
		r, err := b.NewReader(ctx, key, nil)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if r.Size() > most {
			return nil, fmt.Errorf("%w: %s has %d bytes, which are too many", repository.ErrChunk, key, r.Size())
		}
		return io.ReadAll(moving{io.LimitReader(r, most), moves})
	})
}

// List lists the objects whose keys begin with a prefix.
func (b bucket) List(ctx context.Context, prefix string, each func(key string, size int64)) error {
	all := b.Bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := call(ctx, b.calls, "list "+prefix, func(ctx context.Context, _ func()) (*blob.ListObject, error) { return all.Next(ctx) })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		each(o.Key, o.Size)
	}
}

// Remove removes an object, if it is there, and a directory that is empty then. It goes no
// further up: a publisher may be making its own in the one above.
func (b bucket) Remove(ctx context.Context, key string) error {
	_, err := call(ctx, b.calls, "remove "+key, func(ctx context.Context, _ func()) (struct{}, error) {
		err := b.Delete(ctx, key)
		if dir := path.Dir(key); b.dirs && dir != "." {
			b.Delete(ctx, dir) // as os.Remove does: others are left
		}
		return struct{}{}, err
	})
	if errors.Is(err, repository.ErrNoObject) {
		return nil
	}
	return err
}
