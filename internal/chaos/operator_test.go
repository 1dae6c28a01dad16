//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hotswap/internal/fleetapp"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// operator publishes and orders.
type operator struct {
	w       *world
	content uint64
	file    string
	orders  int
}

// prepare makes a file of a new content.
func (o *operator) prepare(bad bool) (path string) {
	w := o.w
	o.content++
	next := filepath.Join(w.dir, fmt.Sprintf("content-%d", o.content))
	c := fleetapp.Content{Version: o.content, Rows: 2000, Bad: bad}
	var err error
	if o.file == "" {
		err = fleetapp.Make(w.t.Context(), next, c)
	} else {
		err = fleetapp.Next(w.t.Context(), o.file, next, c)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	o.file = next
	return next
}

// publish publishes a new content, and returns the version's number. A publisher that breaks
// off leaves nothing that anybody may see.
func (o *operator) publish(bad, breakOff bool) (number uint64, done bool) {
	w := o.w
	next := o.prepare(bad)
	patience := 20 * time.Second
	if breakOff {
		patience = time.Duration(w.rng.IntN(50)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	// What was damaged is whole again once it was published anew.
	p, err := w.repo.Publish(ctx, fleetapp.Channel, next, repository.PublishOptions{Anew: w.damaged.Load(), Key: w.key, Objects: o.store()})
	if err != nil {
		w.did("publishing broke off")
		return 0, false
	}
	w.did("published")
	if p.Objects != nil {
		w.did("published into object storage")
	}
	w.damaged.Store(false)
	w.mu.Lock()
	w.numbers[o.content], w.bad[o.content] = p.Number, bad
	w.mu.Unlock()
	return p.Number, true
}

// store is where the chunks of the next version go: mostly where those of the last one are.
func (o *operator) store() string {
	switch o.w.rng.IntN(8) {
	case 0:
		return repository.OnEngine
	case 1:
		return "file://" + o.w.bucket() + "?create_dir=true&no_tmp_dir=true&metadata=skip"
	}
	return ""
}

// bucket is the directory of the object storage.
func (w *world) bucket() string { return filepath.Join(w.dir, "bucket") }

// damageObject makes something else of a chunk in object storage, if there is any.
func (w *world) damageObject() {
	all, _ := filepath.Glob(filepath.Join(w.bucket(), "*", "*", "*", "*"))
	if len(all) == 0 {
		return
	}
	w.damaged.Store(true)
	if os.WriteFile(all[w.rng.IntN(len(all))], []byte("damaged"), 0o600) == nil {
		w.did("object damaged")
	}
}

// order writes the next order, if nobody disturbs it, and returns whether it was written.
func (o *operator) order(next func(before *rollout.Order, done bool) (rollout.Order, error)) error {
	w := o.w
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	before, entry, err := w.recs.Order(ctx, fleetapp.Channel)
	if err != nil {
		return err
	}
	progress, _, err := w.recs.Progress(ctx, fleetapp.Channel)
	if err != nil {
		return err
	}
	done := before != nil && progress != nil && progress.Of(*before) && progress.Phase == rollout.Done
	if before != nil && !done && progress != nil && progress.Of(*before) && progress.Open > 0 {
		w.did("half done when another came")
	}
	order, err := next(before, done)
	if err != nil {
		return err
	}
	p, err := w.repo.Manifest(ctx, repository.Version{Channel: fleetapp.Channel, Number: order.Version})
	if err != nil {
		return err // it may have been collected
	}
	order = order.Tagged(order.Version, p.Tag)
	w.mu.Lock()
	w.ordered = append(w.ordered, order)
	w.mu.Unlock()
	_, err = w.recs.SetOrder(ctx, order, entry)
	if errors.Is(err, records.ErrChanged) {
		return nil // an answer that was lost, of a write that was not
	}
	return err
}

func (o *operator) rollout(number uint64, plan rollout.Plan) error {
	o.orders++
	id := fmt.Sprint("order-", o.orders)
	return o.order(func(before *rollout.Order, done bool) (rollout.Order, error) {
		return rollout.NewRollout(id, fleetapp.Channel, number, plan, before, done)
	})
}

// damage makes something else of a chunk: nobody may take it for what it was.
func (o *operator) damage() {
	w := o.w
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Second)
	defer cancel()
	stream, err := w.engine.Chunks(ctx)
	if err != nil {
		return
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return
	}
	sequence := info.State.FirstSeq + uint64(w.rng.IntN(int(info.State.LastSeq-info.State.FirstSeq+1)))
	chunk, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return // it was removed
	}
	w.damaged.Store(true)
	if _, err := w.engine.JetStream().Publish(ctx, chunk.Subject, append(chunk.Data[:len(chunk.Data)/2], "damaged"...)); err == nil {
		w.did("chunk damaged")
	}
}

// work does one thing that an operator does.
func (o *operator) work() {
	w := o.w
	if w.rng.IntN(6) == 0 {
		o.orders++
		err := o.order(func(before *rollout.Order, _ bool) (rollout.Order, error) {
			if before == nil {
				return rollout.Order{}, errors.New("nothing to go back from")
			}
			return rollout.NewRollback(fmt.Sprint("order-", o.orders), 0, *before)
		})
		if err == nil {
			w.did("rolled back")
		}
		return
	}
	switch w.rng.IntN(12) {
	case 0:
		o.damage()
	case 1:
		w.damageObject()
	}
	if w.rng.IntN(6) == 0 {
		o.killed()
	}
	if w.rng.IntN(6) == 0 {
		o.collect()
	}
	number, done := o.publish(w.rng.IntN(6) == 0, w.rng.IntN(5) == 0)
	if !done || w.rng.IntN(5) == 0 { // and nobody may get it
		return
	}
	plan := rollout.Plan{Canary: w.rng.IntN(2), MaxFailed: w.rng.IntN(3), Timeout: 10 * time.Second}
	if w.rng.IntN(2) == 0 { // so slow that another order finds it half done
		plan.Waves, plan.Soak = []int{30, 60}, time.Duration(1000+w.rng.IntN(4000))*time.Millisecond
	}
	if err := o.rollout(number, plan); err == nil {
		w.did("rolled out")
	}
}
