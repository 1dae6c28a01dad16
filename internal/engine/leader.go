package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FromLeader reads the last message of a subject, or of those that match it, from the
// leader of a stream, although the stream has direct reads: the leader has all that was
// acknowledged.
func (e *Engine) FromLeader(ctx context.Context, stream, subject string) (data []byte, sequence uint64, err error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, 0, err
	}
	answer, err := e.conn.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, 0, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Data     []byte `json:"data"`
			Sequence uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return nil, 0, err
	}
	switch {
	case got.Error != nil && got.Error.ErrorCode == codeNotFound, got.Error == nil && got.Message == nil:
		return nil, 0, jetstream.ErrMsgNotFound
	case got.Error != nil:
		return nil, 0, got.Error
	}
	return got.Message.Data, got.Message.Sequence, nil
}

// Now is the time by the clock of a bucket's leader, which is what says when a key was written.
func (e *Engine) Now(ctx context.Context, kv jetstream.KeyValue) (now time.Time, err error) {
	err = e.Retry(ctx, func(ctx context.Context) error {
		stream, err := e.js.Stream(ctx, "KV_"+kv.Bucket())
		if err == nil {
			now = stream.CachedInfo().TimeStamp // which has just been read
		}
		return err
	})
	return now, e.Explain("ask for the time", err)
}
