package records

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Made is when the bucket that decides was made: those of an engine that was emptied were made
// later.
func (r *Records) Made(ctx context.Context) (time.Time, error) {
	var stream jetstream.Stream
	err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		stream, err = r.engine.JetStream().Stream(ctx, "KV_"+r.fleet.Bucket())
		return err
	})
	if err != nil {
		return time.Time{}, r.engine.Explain("look at the bucket "+r.fleet.Bucket(), ended(ctx, err))
	}
	return stream.CachedInfo().Created, nil // which has just been read
}

// Forget forgets what these records were found to have.
func (r *Records) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.waves)
}
