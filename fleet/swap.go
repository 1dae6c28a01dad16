package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
	"hotswap/internal/statetag"
	"hotswap/swapper"
)

// before is the version before the live one, which is kept.
type before struct {
	version uint64 // 0 if it is not one
	tag     string
	path    string
	inOrder bool // Health has said so
}

// bring makes a version live, which was named with that tag.
func (d *database) bring(ctx context.Context, number uint64, tag string) error {
	have := d.current().Have
	err := d.keep()
	if errors.Is(err, syscall.ENOSPC) {
		d.back.small.give()
		err = d.keep()
		d.steady()
	}
	if err != nil {
		return err
	}
	if number < have {
		if ok, err := d.confirm(ctx, number); !ok {
			return err
		}
	}
	if err := d.prepare(ctx, number, tag); err != nil {
		return err
	}
	ready := d.staged
	if ready == nil {
		return nil
	}
	if d.node.outOfTouch() {
		if ok, err := d.confirm(ctx, number); !ok {
			return err
		}
	}
	d.phase(records.Swapping)
	d.back.small.give()
	defer d.steady()
	report, err := d.own(func() (swapper.Report, error) { return ready.Swap(ctx) })
	if !report.Swapped {
		return d.notSwapped(ctx, err)
	}
	d.staged = nil
	d.setBack(ready.back)
	var last *before
	if report.BackupPath != "" {
		last = &before{have, d.tag, report.BackupPath, d.witnessed}
	}
	if d.current().Content != "" && last != nil {
		last.version = 0
	}
	if d.node.cfg.Health != nil && !d.witnessed && d.before != nil && exists(d.before.path) {
		last = d.before // nobody has found what was live since in order
	}
	d.live(ctx, number, ready.tag, last, report)
	if err != nil {
		d.log.Error().Err(err).Stringer("version", d.version(number)).Msg("swapped in, with an error")
	}
	return nil
}

// confirm asks the engine again whether the node is to have a version: what it has been told may
// be from a server that is behind, or old.
func (d *database) confirm(ctx context.Context, number uint64) (bool, error) {
	plane, name := d.node.planeNow(), d.node.cfg.Node
	order, orderAt, err := plane.Order(ctx, d.channel)
	if err != nil {
		return false, err
	}
	progress, progressAt, err := plane.Progress(ctx, d.channel)
	if err != nil {
		return false, err
	}
	pin, pinAt, err := plane.Pin(ctx, d.channel, name)
	if err != nil {
		return false, err
	}
	d.tell(records.Change{Kind: records.AnOrder, Channel: d.channel, Entry: orderAt, Order: order})
	d.tell(records.Change{Kind: records.AProgress, Channel: d.channel, Entry: progressAt, Progress: progress})
	d.tell(records.Change{Kind: records.APin, Channel: d.channel, Node: name, Entry: pinAt, Pin: pin})
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.view
	if v.pin != nil && v.pin.Version != 0 {
		return v.pin.Version == number, nil
	}
	return v.order != nil && rollout.Desired(*v.order, v.progress, v.pin, d.me()) == number, nil
}

// own does a swap of the node's own.
func (d *database) own(swap func() (swapper.Report, error)) (swapper.Report, error) {
	set := func(swapping bool) {
		d.mu.Lock()
		d.swapping = swapping
		d.mu.Unlock()
	}
	set(true)
	defer set(false)
	d.began = time.Now()
	return swap()
}

// notSwapped is the error of a swap that has not happened.
func (d *database) notSwapped(ctx context.Context, err error) error {
	v := d.version(d.staged.version)
	switch {
	case errors.Is(err, swapper.ErrOutcomeUnknown):
		d.mu.Lock()
		d.doubt()
		d.mu.Unlock()
		d.discard()
	case errors.Is(err, swapper.ErrChanged):
		d.discard()
		content := d.writtenSince(d.current().Have)
		d.change(func(s *records.Database) { s.Content = content })
		return fmt.Errorf("swap in %s: %w: %s", v, errDiverged, content) // the push's advice is for people who push
	case errors.Is(err, swapper.ErrTarget), errors.Is(err, swapper.ErrBadDatabase):
		d.discard() // what was staged may be gone; it is checked anew, with the words for what is wrong
		return fmt.Errorf("swap in %s: %v: it is prepared anew", v, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("swap in %s: %w", v, noRoom(err))
}

// live takes down what is live now.
func (d *database) live(ctx context.Context, number uint64, tag string, last *before, report swapper.Report) {
	d.tag, d.before, d.witnessed = tag, last, false
	d.seen, d.unfounded = stampOf(d.db.Path()).since(d.began), 0
	d.mu.Lock()
	d.noticedUnder = d.orderID() // what is written from now on is
	d.swaps++
	d.lost = false
	d.asked = time.Time{} // known stays as it is: something may have come since
	d.mu.Unlock()
	d.change(func(s *records.Database) {
		s.Have, s.Tag, s.Content, s.Healthy, s.Prepared = number, tag, "", 0, 0
		s.Phase = records.Idle // in the same record: who reads that it has it does not read that it is at it
		s.Fetched, s.Size = 0, 0
		s.Swapped, s.Pause = time.Now(), report.Pause
		if s.Failed != nil && s.Failed.Version == number {
			s.Failed = nil
		}
		if d.node.cfg.Health == nil {
			s.Healthy = number
		}
	})
	d.log.Info().Stringer("version", d.version(number)).Dur("pause", report.Pause).Str("method", string(report.Method)).Msg("swapped in")
	// Although ctx may have ended: it is of what was to be done, and that is done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	d.writeDown(ctx, records.Having{Version: number, Tag: tag, InOrder: d.node.cfg.Health == nil})
}

// lastBefore is the version before the one that is live. After a restart it is looked for
// among the backups.
func (d *database) lastBefore(ctx context.Context, live uint64) (*before, error) {
	if d.before != nil {
		return d.before, nil
	}
	kept, err := swapper.Backups(d.db.Path())
	if err != nil {
		return nil, err
	}
	for _, b := range kept {
		if b.Number == 0 || b.Source != d.version(live).String() {
			continue
		}
		file, err := os.Open(b.Path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		tag, err := statetag.Of(ctx, file, b.Size)
		if err != nil {
			return nil, err
		}
		was, content, err := d.identify(ctx, tag, false)
		if err != nil {
			return nil, err
		}
		if content != "" {
			was.Version = 0
		}
		return &before{version: was.Version, tag: tag, path: b.Path}, nil
	}
	return nil, fmt.Errorf("what was live before %s is not kept", d.version(live))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// goBack makes the version before live again.
func (d *database) goBack(ctx context.Context) error {
	d.phase(records.GoingBack)
	d.discard()
	from := d.current()
	last, err := d.lastBefore(ctx, from.Have)
	if err != nil {
		return err
	}
	file, err := os.Open(last.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() == 0 {
		return cmp.Or(err, fmt.Errorf("there was no database before %s", d.version(from.Have)))
	}
	report, err := d.swapBack(ctx, file, last)
	switch {
	case errors.Is(err, swapper.ErrOutcomeUnknown):
		d.mu.Lock()
		d.doubt()
		d.mu.Unlock()
		return err
	case !report.Swapped && errors.Is(err, swapper.ErrChanged):
		return errors.New("it was written to since it was swapped in")
	case !report.Swapped:
		return noRoom(err)
	}
	d.settle()
	d.live(ctx, last.version, last.tag, nil, report)
	if last.version == 0 {
		d.mu.Lock()
		d.doubt() // whatever it was
		d.mu.Unlock()
	}
	if last.inOrder {
		d.inOrder(ctx, last.version, last.tag)
	}
	d.log.Warn().Stringer("from", d.version(from.Have)).Stringer("version", d.version(last.version)).Msg("went back")
	return nil
}

// swapBack pushes a backup. What was staged once stays so, whatever keeps it from being
// swapped in, until the way back is given up.
func (d *database) swapBack(ctx context.Context, backup *os.File, last *before) (report swapper.Report, err error) {
	info, err := backup.Stat()
	if err != nil {
		return report, err
	}
	opts := d.node.cfg.push(d.version(last.version), info.Size(), "")
	opts.SkipSchemaCheck, opts.SkipRehearsal = true, true // it was live
	if d.node.cfg.Diverged == Refuse {
		opts.IfMatch = matched(d.tag)
	}
	if d.back.ready == nil {
		src, err := d.again(ctx, backup, info.Size())
		if err != nil {
			return report, err
		}
		if d.back.ready, report, err = swapper.Stage(ctx, d.db, src, opts); err != nil {
			return report, err
		}
	}
	backup.Close() // or it would count as one that somebody has open, and be kept beyond Keep
	d.back.small.give()
	defer d.steady()
	report, err = d.own(func() (swapper.Report, error) { return d.back.ready.Swap(ctx) })
	if err != nil && !report.Swapped && (errors.Is(err, swapper.ErrTarget) || errors.Is(err, swapper.ErrBadDatabase)) {
		d.back.ready.Discard() // it may be gone, and is staged anew
		d.back.ready = nil
	}
	return report, err
}
