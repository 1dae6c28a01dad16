package driver

import (
	"context"
	"time"

	"hotswap/internal/peers"
	"hotswap/internal/reserve"
)

// Freeze drains the database: new calls wait in the driver, work in progress ends, and
// every SQLite connection is closed. It is the maintenance window in which a swap
// replaces the file; a program may use it for its own. The last SQLite connection to
// close checkpoints the WAL and removes it, unless another process has the database
// open.
//
// Freeze waits in attempts, so that a long hold delays the freeze and not the calls:
// the gate closes for a short window, and opens again if something did not end in it.
// Then no call waits until those holds have ended, and the next attempt begins the
// moment they have.
//
// It returns a *HeldError at the timeout; ErrFreezing if another freeze is in progress
// or OnSwap callbacks are running; an error that is ErrReplaced if something other than
// a swap replaced the file and the new one can't be used; and ctx.Err() if ctx ends
// first. Calls then flow as before. If the error is nil, Thaw must be called.
func (d *Database) Freeze(ctx context.Context, opts FreezeOptions) (*Frozen, error) {
	dr, err := d.drain(ctx, opts)
	if err != nil {
		return nil, err
	}
	if opts.swap.WritesOnly {
		return dr.frozen, nil
	}
	if err := dr.beforeClose(); err != nil {
		return nil, err
	}
	return dr.close()
}

// drain is the first half of Freeze: after it the gate is closed, and all that is to
// be closed has drained. Then close or giveUp must be called.
func (d *Database) drain(ctx context.Context, opts FreezeOptions) (*drain, error) {
	dr, err := d.beginDrain(opts)
	if err != nil {
		return nil, err
	}
	d.rouse() // what it waits for may be Rows that have leaked
	succeeded := false
	defer func() {
		if !succeeded { // an error, or a panic of Notify
			dr.giveUp()
		}
	}()
	if opts.Peers {
		dr.frozen.others = d.invite(peers.Message{Op: peers.Join, InPlace: opts.swap.InPlace, Adopts: opts.adopts})
	}
	if err := dr.begin(ctx); err != nil {
		return nil, err
	}
	succeeded = true
	return dr, nil
}

// beginDrain makes the freeze the database's only one, until its end.
func (d *Database) beginDrain(opts FreezeOptions) (*drain, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.MaxPause <= 0 {
		opts.MaxPause = time.Second
	}
	if opts.Notify == nil {
		opts.Notify = func(FreezeEvent) {}
	}
	if opts.swap.WritesWait == nil {
		opts.swap.WritesWait = func() {}
	}
	if !d.freezing.TryLock() {
		if d.refusing() {
			return nil, ErrReplaced
		}
		return nil, ErrFreezing
	}
	if err := d.callbacks.err(); err != nil && !opts.adopts { // perhaps by a callback, for which it would wait
		d.freezing.Unlock()
		return nil, err
	}
	d.keep()
	d.draining.Store(true)
	d.gateLog.Store(opts.Logger)
	dr := &drain{d: d, opts: opts, start: time.Now(), scarce: reserve.MayBeNeeded()}
	dr.frozen = &Frozen{db: d, adopts: opts.adopts}
	return dr, nil
}

func (dr *drain) begin(ctx context.Context) error {
	if !dr.opts.swap.WritesOnly {
		return dr.run(ctx)
	}
	if dr.opts.swap.CloseShared {
		if err := dr.closeShared(ctx); err != nil {
			return err
		}
	}
	dr.frozen.overwrites()
	return dr.writers(ctx)
}

// beforeClose calls what a swap wants to have done with the drained connections, before
// the last of them closes. On an error calls flow as before.
func (dr *drain) beforeClose() error {
	use := dr.opts.swap.BeforeClose
	if use == nil {
		return nil
	}
	succeeded := false
	defer func() {
		if !succeeded {
			dr.giveUp()
		}
	}()
	err := dr.d.lend(use, true)
	succeeded = err == nil
	return err
}

// close is the second half of Freeze. On an error calls flow as before.
func (dr *drain) close() (*Frozen, error) {
	f := dr.frozen
	succeeded := false
	defer func() {
		if !succeeded {
			dr.giveUp()
		}
	}()
	if err := dr.d.mayLeave(); err != nil {
		return nil, err
	}
	// The last of its own after all others: whoever closes last moves the WAL into the file.
	own := func() { f.Connections = dr.closeAll(1) }
	last := dr.opts.swap.BeforeLast
	if last != nil {
		own = func() {} // those that are closed can't be opened again
		if err := f.others.complete(); err != nil {
			return nil, err
		}
	}
	if err := f.others.close(context.Background(), dr.opts.MaxPause, own); err != nil {
		return nil, err
	}
	if last != nil {
		err := f.others.complete()
		if err == nil {
			err = last()
		}
		if err != nil {
			return nil, err
		}
	}
	f.Connections += dr.killed + dr.closeAll(0)
	dr.d.setFrozen()
	f.overwrites() // connections of other databases that have this one attached
	dr.opts.Notify(FreezeEvent{Step: FreezeClosed, Count: f.Connections})
	succeeded = true
	return f, nil
}

// giveUp lets calls flow as before.
func (dr *drain) giveUp() {
	dr.frozen.others.thaw(false, peers.Inode{}, false)
	dr.frozen.others.leave()
	dr.frozen.open()
	dr.frozen.end()
}

// Freezing reports whether a Freeze is waiting for the database, or holds it.
func (d insider) Freezing() bool { return d.draining.Load() }
