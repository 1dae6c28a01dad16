package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Having is what a node has swapped in last, so that it knows its content again after a
// restart, also when the version was removed from the engine meanwhile.
type Having struct {
	Version uint64 `json:"version"` // 0: what is live came from elsewhere
	Tag     string `json:"tag"`
	// InOrder is set once the program was found to be in order with it.
	InOrder bool `json:"inOrder,omitempty"`
}

// PutHaving writes what a node has swapped in over what it has written last: ErrChanged says
// that there is something else. So what is on its way to an engine that is lost is not taken by
// the next one.
func (r *Records) PutHaving(ctx context.Context, node, channel string, h Having, over Entry) (Entry, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return Entry{}, err
	}
	key := havingKey(node, channel)
	ctx, cancel := r.once(ctx)
	defer cancel()
	var revision uint64
	if over.Revision == 0 {
		revision, err = r.has.Create(ctx, key, text)
	} else {
		revision, err = r.has.Update(ctx, key, text, over.Revision)
	}
	if changed(err) {
		return Entry{}, fmt.Errorf("%s %w", key, ErrChanged)
	}
	return Entry{Revision: revision}, r.engine.ExplainWrite("write "+key, err)
}

// GetHaving reads what a node has swapped in last, from the leader; nil if that is not known.
func (r *Records) GetHaving(ctx context.Context, node, channel string) (*Having, Entry, error) {
	key := havingKey(node, channel)
	var text []byte
	var entry Entry
	err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		text, entry.Revision, err = r.engine.FromLeader(ctx, "KV_"+r.has.Bucket(), "$KV."+r.has.Bucket()+"."+key)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, Entry{}, nil
	case err != nil:
		return nil, Entry{}, r.engine.Explain("read "+key, ended(ctx, err))
	}
	var h Having
	if json.Unmarshal(text, &h) != nil { // it is damaged, or somebody has removed it
		return nil, entry, nil
	}
	return &h, entry, nil
}
