package records

import (
	"context"
	"time"
)

// Made is when the bucket that decides was made: those of an engine that was emptied were made
// later.
func (r *Records) Made(ctx context.Context) (time.Time, error) {
	stream, err := r.engine.JetStream().Stream(ctx, "KV_"+r.fleet.Bucket())
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
