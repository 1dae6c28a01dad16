package driver

import (
	"context"
	"errors"
	"sync"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

// adopt begins an adoption, or returns the one in progress.
func (d *Database) adopt() *adoption {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.adoption; a != nil {
		return a
	}
	a := &adoption{begun: make(chan struct{}), ended: make(chan struct{})}
	if !d.usedLocked() && !w.refused {
		close(a.begun)
		close(a.ended)
		return a
	}
	w.adoption = a
	go d.runAdoption(a)
	return a
}

func (d *Database) runAdoption(a *adoption) {
	begin := sync.OnceFunc(func() { close(a.begun) })
	defer func() {
		d.watch.mu.Lock()
		d.watch.adoption = nil
		d.watch.mu.Unlock()
		close(a.ended)
		begin()
	}()
	w := &d.watch
	w.mu.Lock()
	refused, refuses := w.refused, w.refuses
	w.mu.Unlock()
	if refused {
		d.reconsider()
		return
	}
	if !d.moved() {
		return
	}
	defer d.kept()()
	if refuses {
		d.refuse()
		return
	}
	if !d.awaitReady() {
		return
	}
	d.move(begin)
}

// move closes the connections, including those of other databases that have the old
// file attached, so that they reopen on the file now at the path.
func (d *Database) move(begin func()) {
	attachers := d.Attachers()
	anew := d.watch.givesUp(door.File(d.Path()))
	if d.pushing() {
		return // the push has the old file open, and ends when it sees this one
	}
	if strangers := d.strangers(); strangers > 0 {
		const why = "the program has the old file open outside this driver"
		if anew {
			d.watch.stay(errors.New(why))
			return
		}
		d.reject(d.Path(), fileid.Of(d.Path()), why)
		return
	}
	if !anew {
		release, ok := d.lead(begin)
		if !ok {
			return
		}
		defer release()
		defer time.AfterFunc(attacherPatience, begin).Stop() // who is asked to come along may not answer
	}
	if len(attachers) > 0 {
		begin() // freezing those may take long
	}
	limit := adoptTimeout
	if anew {
		limit = anewAttempt
	}
	drains, err := d.drainAll(attachers, begin, limit, !anew)
	if anew && err == nil && !d.watch.leaveGivenUp() {
		err = ErrFreezing // nobody waits for it any more
	}
	for _, dr := range drains {
		if err != nil {
			dr.giveUp()
			continue
		}
		var frozen *Frozen
		if frozen, err = dr.close(); err == nil {
			defer frozen.Thaw() // d's, the last, is the first
		}
	}
	switch {
	case anew && err != nil:
		d.watch.stay(err)
	case err != nil && !errors.Is(err, ErrFreezing): // whoever freezes it closes the connections, or the next tick tries again
		d.cantLeave(err)
	}
}

// attacherPatience bounds the wait for a database that has this one attached while
// this one's gate is closed.
const attacherPatience = 250 * time.Millisecond

// anewAttempt bounds one wait for what is held of a removed file.
const anewAttempt = time.Second

// drainAll drains d and its attachers. While one of them keeps the others waiting, the
// gates of all stand open until it has drained. To a file that is there the peers come
// along, and once the limit is over, what is still held is ended by force. The order of
// drains is that in which they are to be closed. On an error those that are returned are
// still drained.
func (d *Database) drainAll(attachers []*Database, begin func(), limit time.Duration, there bool) (drains []*drain, err error) {
	ctx, start := context.Background(), time.Now()
	for {
		left := max(limit-time.Since(start), time.Millisecond)
		own, err := d.drain(ctx, FreezeOptions{Timeout: left, Force: there, Peers: there, adopts: true, Notify: func(e FreezeEvent) {
			if e.Step == FreezeGateClosed {
				begin()
			}
		}})
		if err != nil {
			return nil, err
		}
		drains = nil
		var held *Database
		for _, other := range attachers {
			last := time.Since(start) >= limit
			dr, err := other.drain(ctx, FreezeOptions{Timeout: attacherPatience, MaxPause: attacherPatience, Force: last && there, adopts: true})
			if err != nil {
				held = other
				if !errors.As(err, new(*HeldError)) || last {
					return append(drains, own), err
				}
				break
			}
			drains = append(drains, dr)
		}
		drains = append(drains, own)
		if held == nil {
			return drains, nil
		}
		for _, dr := range drains {
			dr.giveUp()
		}
		left = limit - time.Since(start)
		if left <= 0 {
			continue
		}
		dr, err := held.drain(ctx, FreezeOptions{Timeout: left, adopts: true})
		if err == nil {
			dr.giveUp()
		} else if !errors.As(err, new(*HeldError)) {
			return nil, err
		}
	}
}

// cantLeave records that the move to another file failed, and logs that once.
func (d *Database) cantLeave(err error) {
	path := d.newPath()
	if d.watch.noteRejected(fileid.Of(path), "the connections can't leave the old one: "+err.Error(), 0) {
		lognote.Send(d.watch.warn(path).Err(err), "the database file was replaced by something other than a swap, but the connections can't leave the old one: the old one stays open and in use until they can")
	}
}

// refuse makes new calls fail.
func (d *Database) refuse() {
	if !d.freezing.TryLock() {
		return // the next tick tries again
	}
	w := &d.watch
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
	d.shutGate()
	d.mu.Lock()
	d.wakeLocked() // waiting calls are refused, too
	d.mu.Unlock()
	lognote.Send(w.warn(d.Path()), "the database file was replaced by something other than a swap: calls are refused until the old one is back")
}

// reconsider ends a refusal if the old file is back.
func (d *Database) reconsider() {
	w := &d.watch
	now := fileid.Of(d.Path())
	_, repointed := d.repointedTo()
	w.mu.Lock()
	back := w.refused && now == w.file && !repointed
	if back {
		w.refused = false
	}
	w.mu.Unlock()
	if !back {
		return
	}
	d.openGate(nil)
	d.freezing.Unlock()
	lognote.Send(w.warn(d.Path()), "the database file is back at its path: calls are accepted again")
}

// awaitGate is part of a connection's first use after it was idle. If another file is
// at the path it waits until calls queue at the gate for the move to that file, but not
// for the move itself, which may have to wait for what the caller holds.
func (d *Database) awaitGate(ctx context.Context) {
	// An adoption in progress may have looked before the new file was there.
	for range 2 {
		if !d.moved() {
			return
		}
		a := d.adopt()
		select {
		case <-a.begun:
		case <-ctx.Done():
			return
		}
		select {
		case <-a.ended:
		default:
			return
		}
	}
}
