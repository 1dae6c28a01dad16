package repository

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Location is where in object storage the chunks of a version are.
type Location struct {
	URL string `json:"url"`
	// Dir is the directory of what was written for the version: nobody else writes there.
	Dir string `json:"dir"`
}

// OnEngine is the Objects of a publication whose chunks are to be on the engine.
const OnEngine = "engine"

// Objects is a bucket of an object storage.
type Objects interface {
	Write(ctx context.Context, key string, data []byte) error
	// Read reads an object of at most that many bytes; ErrNoObject says that there is none.
	Read(ctx context.Context, key string, most int64) ([]byte, error)
	List(ctx context.Context, prefix string, each func(key string, size int64)) error
	Remove(ctx context.Context, key string) error
}

// OpenObjects opens a bucket by its URL. Package fleet/objects sets it: only a program that
// imports that has the libraries.
var OpenObjects func(ctx context.Context, url string) (Objects, error)

var (
	// ErrNoObject: there is no object of that name.
	ErrNoObject = errors.New("there is no such object")
	// ErrNoObjects: the program does not know object storage, or not that one.
	ErrNoObjects = errors.New("this program is built without that storage")
	// ErrObjectsForbidden: the object storage does not permit it.
	ErrObjectsForbidden = errors.New("the object storage does not permit it")
	// ErrObjectsSilent: it has not answered in time.
	ErrObjectsSilent = errors.New("the object storage does not answer")
)

// Driver is the package that a program imports for the storage that a URL names.
func Driver(url string) string {
	scheme, _, _ := strings.Cut(url, "://")
	if name := map[string]string{"file": "fileblob", "s3": "s3blob", "azblob": "azureblob", "gs": "gcsblob"}[scheme]; name != "" {
		return "gocloud.dev/blob/" + name
	}
	return "a driver of gocloud.dev/blob for " + scheme + "://"
}

// bucket are chunks in object storage.
type bucket struct {
	url  string
	open Objects
}

// bucket opens a bucket, once.
func (r *Repository) bucket(ctx context.Context, url string) (*bucket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.buckets[url]; b != nil {
		return b, nil
	}
	if OpenObjects == nil {
		return nil, fmt.Errorf("the chunks are in %s: %w: it has to import hotswap/fleet/objects and %s", url, ErrNoObjects, Driver(url))
	}
	open, err := OpenObjects(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", url, err)
	}
	b := &bucket{url, open}
	r.buckets[url] = b
	return b, nil
}

func (b *bucket) failed(err error) error { return fmt.Errorf("%s: %w", b.url, err) }

func (b *bucket) put(ctx context.Context, dir string, n name, chunk []byte) error {
	if err := b.open.Write(ctx, path.Join(dir, n.String()), chunk); err != nil {
		return b.failed(err)
	}
	return nil
}

func (b *bucket) get(ctx context.Context, dir string, n name) ([]byte, error) {
	data, err := b.open.Read(ctx, path.Join(dir, n.String()), mostChunk)
	switch {
	case errors.Is(err, ErrNoObject):
		return nil, b.failed(fmt.Errorf("%w: %s/%s is not there", ErrChunk, dir, n))
	case err != nil:
		return nil, b.failed(err)
	case nameOf(data) != n:
		return nil, b.failed(fmt.Errorf("%w: what is kept as %s/%s is something else", ErrChunk, dir, n))
	}
	return data, nil
}

// missing lists what there is of the channel. Should a listing be behind, the version is
// written as a whole.
func (b *bucket) missing(ctx context.Context, x index, parts []name) (missing int, err error) {
	wanted, parents := objectsOf(x.dirs[0], x, parts), map[string]bool{}
	for _, dir := range x.dirs {
		parents[path.Dir(dir)+"/"] = true
	}
	for parent := range parents {
		if err := b.open.List(ctx, parent, func(key string, _ int64) { delete(wanted, key) }); err != nil {
			return 0, b.failed(err)
		}
	}
	return len(wanted), nil
}

// objectsOf are the keys of all chunks of a version, whose index is in dir.
func objectsOf(dir string, x index, parts []name) map[string]bool {
	all := make(map[string]bool, len(parts)+len(x.blocks)+len(x.packs))
	for _, n := range parts {
		all[path.Join(dir, n.String())] = true
	}
	for _, r := range x.blocks {
		all[path.Join(x.in(r), r.name.String())] = true
	}
	for _, p := range x.packs {
		all[path.Join(x.in(p.ref), p.name.String())] = true
	}
	return all
}

// mostDir is how long the name of a directory is at most.
const mostDir = 128

var dirPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/[0-9]+-[0-9]+$`)

func validDir(text string) bool { return len(text) <= mostDir && dirPattern.MatchString(text) }

// destination is where the chunks of a version go, which may be said by the one before. The
// revision of the intent makes the directory another one, should the number be given twice
// because the counter was lost.
func (r *Repository) destination(ctx context.Context, i *intent, before Published, opts *PublishOptions) (chunks, string, error) {
	if opts.Objects == "" && before.Objects != nil {
		opts.Objects = before.Objects.URL
	}
	if opts.Objects == "" || opts.Objects == OnEngine {
		return streamed{r}, "", nil
	}
	b, err := r.bucket(ctx, opts.Objects)
	if err != nil {
		return nil, "", err
	}
	root, err := r.root(ctx)
	return b, path.Join(root, i.v.Channel, fmt.Sprintf("%d-%d", i.v.Number, i.first)), err
}

// root is the directory of this fleet: others may have the same bucket. It is named after the
// moment when the engine's bucket was made, which is another one if it had to be made anew.
func (r *Repository) root(ctx context.Context) (root string, err error) {
	info, err := r.bucketInfo(ctx)
	if err != nil {
		return "", err
	}
	return "fleet-" + strconv.FormatInt(info.Created.UnixNano(), 36), nil
}

// bucketInfo is what the engine says of its bucket.
func (r *Repository) bucketInfo(ctx context.Context) (info *jetstream.StreamInfo, err error) {
	err = r.engine.Retry(ctx, func(ctx context.Context) error {
		status, err := r.fleet.Status(ctx)
		if err != nil {
			return err
		}
		kv, ok := status.(*jetstream.KeyValueBucketStatus)
		if !ok {
			return errors.New("the bucket is of no stream")
		}
		info = kv.StreamInfo()
		return nil
	})
	return info, r.engine.Explain("look at the bucket", err)
}
