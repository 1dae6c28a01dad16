package records

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/rollout"
)

// The waves of a rollout name every node, and a progress is told to every node whenever it
// changes: together, the bytes would grow with the square of the fleet. So they are a record
// of their own, which is written once, before the progress that names it, and never changes.
// Each node still reads all of it once an order: it is compressed.

// storedProgress is a progress as it is kept.
type storedProgress struct {
	rollout.Progress
	WavesAt string `json:"waves_at,omitempty"` // the last part of their key
}

// wavesName names the waves of an order by what they are.
func wavesName(order string, waves [][]string) (name string, text []byte, err error) {
	if len(waves) == 0 {
		return "", nil, nil
	}
	if text, err = json.Marshal(waves); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(append([]byte(order+"\n"), text...))
	return hex.EncodeToString(sum[:12]), text, nil
}

func packWaves(text []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(text)
	w.Close()
	return packed.Bytes()
}

// mostWaves bounds what is unpacked: the names of a hundred thousand nodes.
const mostWaves = 8 << 20

func unpackWaves(packed []byte) (waves [][]string, err error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return waves, json.NewDecoder(io.LimitReader(r, mostWaves)).Decode(&waves)
}

// storeWaves returns the progress to be kept, whose waves are kept by then.
func (r *Records) storeWaves(ctx context.Context, channel string, p rollout.Progress) (storedProgress, error) {
	name, text, err := wavesName(p.Order, p.Waves)
	if name == "" || err != nil {
		return storedProgress{Progress: p}, err
	}
	if _, known := r.knownWaves(channel, name); !known {
		short, cancel := r.once(ctx)
		_, err := r.fleet.Create(short, wavesKey(channel, name), packWaves(text))
		cancel()
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return storedProgress{}, r.engine.ExplainWrite("write "+wavesKey(channel, name), ended(ctx, err))
		}
		r.learnWaves(channel, name, p.Waves)
	}
	p.Waves = nil
	return storedProgress{p, name}, nil
}

// errNoWaves: the waves of a progress are damaged, or gone, so that another order has taken
// its place.
var errNoWaves = errors.New("its waves are not there")

// full returns a progress with its waves.
func (r *Records) full(ctx context.Context, channel string, stored storedProgress, at Entry) (*rollout.Progress, error) {
	p := stored.Progress.At(at.At)
	if stored.WavesAt == "" {
		return &p, nil
	}
	waves, known := r.knownWaves(channel, stored.WavesAt)
	if !known {
		key := wavesKey(channel, stored.WavesAt)
		entry, err := r.read(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, fmt.Errorf("the record %s: %w", progressKey(channel), errNoWaves)
		}
		if err != nil {
			return nil, r.engine.Explain("read "+key, ended(ctx, err))
		}
		if waves, err = unpackWaves(entry.Value()); err != nil {
			return nil, fmt.Errorf("the record %s: %w: %w", progressKey(channel), errNoWaves, err)
		}
		r.learnWaves(channel, stored.WavesAt, waves)
	}
	p.Waves = waves
	return &p, nil
}

// DropWaves removes the waves of an order that another one has taken the place of.
func (r *Records) DropWaves(ctx context.Context, channel string, of rollout.Progress) error {
	name, _, err := wavesName(of.Order, of.Waves)
	if name == "" || err != nil {
		return err
	}
	ctx, cancel := r.once(ctx)
	defer cancel()
	return r.engine.Explain("remove the waves of "+channel, r.fleet.Purge(ctx, wavesKey(channel, name), jetstream.PurgeTTL(wavesMarkerTTL)))
}

// namedWaves are the waves of a channel that were read or written last.
type namedWaves struct {
	name  string
	waves [][]string
}

func (r *Records) knownWaves(channel, name string) ([][]string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.waves[channel]
	return last.waves, last.name == name
}

func (r *Records) learnWaves(channel, name string, waves [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waves[channel] = namedWaves{name, waves}
}
