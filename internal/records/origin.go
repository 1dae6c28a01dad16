package records

import (
	"context"
	"time"
)

// Origin tells the records from others that have taken their place: those of an engine that
// was emptied were made later, and those from an older copy of its directory have counted
// less far. Both number anew what was numbered already.
type Origin struct {
	Made time.Time
	Last uint64 // the newest revision
}

// Origin reads it from the leader of the bucket that decides.
func (r *Records) Origin(ctx context.Context) (Origin, error) {
	stream, err := r.engine.JetStream().Stream(ctx, "KV_"+r.fleet.Bucket())
	if err != nil {
		return Origin{}, r.engine.Explain("look at the bucket "+r.fleet.Bucket(), ended(ctx, err))
	}
	info := stream.CachedInfo() // which has just been read
	return Origin{info.Created, info.State.LastSeq}, nil
}

// Forget forgets what these records were found to have.
func (r *Records) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.waves)
}
