package driver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// writerQueue lines up a database's writers before they meet SQLite's write lock, whose
// waiters sleep up to 100 ms at a time while it may be free, and which goes to whoever
// retries first (sqliteDefaultBusyCallback). Whoever has the queue's place writes.
//
// A free place goes to whoever asks for it first. That mostly is the one that has just
// left it, and best so: its goroutine runs, and its connection has the pages in its cache.
// But whoever has waited for queueWait gets it handed over.
//
// It is an aid, not a lock: other processes are not in it, nor all of this one (see queue),
// and one that has waited for queuePatience goes on to wait for SQLite's lock as usual, for
// the whole busy timeout. Whoever waits so looks for the lock only now and then, and would
// never find it free if the place were always handed on at once. So between two writers
// there is a gap, unless somebody comes who would have taken the lock in any case.
type writerQueue struct {
	patience time.Duration // queuePatience, except in tests

	state atomic.Uint32 // placeFree, or placeTaken and maybe placeWanted
	mu    sync.Mutex    // guards what follows, and the setting of placeWanted; a leaf
	first *queued
	last  *queued
	began atomic.Int64 // when the place was taken last, in nanoseconds since epoch
	came  uint64       // how many have come while the place was taken
	rests *queued      // has the place, and leaves a gap
}

const (
	placeFree   = 0
	placeTaken  = 1
	placeWanted = 2 // whoever leaves the place is to tell the first of those that wait
)

const (
	queuePatience = 100 * time.Millisecond
	// queueWait is after how long the place is handed over to one that waits. It is longer
	// than it takes to write to a quick disk many times: if each write were followed by a
	// turn, each would wait for all others.
	queueWait = 10 * time.Millisecond
	// A gap is a part of the time for which the place was taken before. The part is about
	// that for which go-sqlite3's writers leave the lock free, where many write a while and
	// then rest a while.
	gapPart  = 4
	leastGap = 50 * time.Microsecond
	mostGap  = 25 * time.Millisecond
	// queueLate is how often one is told in vain that the place may be free: whoever has
	// it then comes back at once. After that it looks for itself, at intervals that
	// double. Telling it costs more than what the other one writes, and on a disk the
	// processor that the kernel needs to write it.
	queueLate = 2
	firstLook = 50 * time.Microsecond
	lastLook  = 500 * time.Microsecond
)

// queued is one that waits for the place, again and again.
type queued struct {
	since      time.Time
	late       int           // how often the place was no longer free
	timer      *time.Timer   // for the next look, or the end of its patience
	told       chan struct{} // has room for one
	has        bool          // was told that it has the place; else that it may be free
	came       uint64        // queue.came when it got the place
	waits      bool          // is in the list; guarded by writerQueue.mu
	prev, next *queued
}

func (q *writerQueue) taken() bool { return q.state.Load() != placeFree }

// try takes the place if it is free.
func (q *writerQueue) try() bool {
	if !q.state.CompareAndSwap(placeFree, placeTaken) {
		return false
	}
	q.begin()
	return true
}

func (q *writerQueue) begin() { q.began.Store(int64(time.Since(epoch))) }

var epoch = time.Now()

func (q *writerQueue) leave() {
	if !q.state.CompareAndSwap(placeTaken, placeFree) {
		q.tell()
	}
}

// tell leaves the place and tells the first that waits. While that one is on its way the
// others are told nothing: it has them told when it gets the place, or gives up.
func (q *writerQueue) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.first
	if w == nil { // it gave up
		q.state.Store(placeFree)
		return
	}
	w.has, w.came = w.turnIn(time.Now()) <= 0, q.came
	q.remove(w)
	switch {
	case !w.has:
		q.state.Store(placeFree)
	case q.first == nil:
		q.state.Store(placeTaken)
	}
	w.told <- struct{}{}
}

// turnIn returns after how long the place is handed over to w.
func (w *queued) turnIn(now time.Time) time.Duration { return queueWait - now.Sub(w.since) }

// enter waits for the place for up to patience; false if it did not get it.
func (q *writerQueue) enter(ctx context.Context, w *queued, patience time.Duration) (bool, error) {
	w.since, w.late = time.Now(), 0
	if w.told == nil {
		w.told = make(chan struct{}, 1)
		w.timer = time.NewTimer(patience)
	}
	defer w.timer.Stop()
	for waited := time.Duration(0); ; waited = time.Since(w.since) {
		took, look := q.takeOrWait(w)
		if took {
			return q.rest(ctx, w)
		}
		if left := patience - waited; look == 0 || look > left {
			look = left
		}
		w.timer.Reset(look)
		select {
		case <-w.told:
			if w.has {
				return q.rest(ctx, w)
			}
		case <-w.timer.C:
			if time.Since(w.since) >= patience {
				return q.giveUp(w), nil
			}
		case <-ctx.Done():
			if q.giveUp(w) {
				q.leave()
			}
			return false, ctx.Err()
		}
		w.late++
	}
}

// rest leaves a gap before w, which has the place, writes.
func (q *writerQueue) rest(ctx context.Context, w *queued) (bool, error) {
	gap := min((time.Since(epoch)-time.Duration(q.began.Load()))/gapPart, mostGap)
	q.mu.Lock()
	if gap < leastGap || q.came != w.came {
		q.mu.Unlock()
		q.begin()
		return true, nil
	}
	q.rests = w
	q.mu.Unlock()
	w.timer.Reset(gap)
	select {
	case <-w.told: // that somebody has come
	case <-w.timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	q.rests = nil
	select {
	case <-w.told:
	default:
	}
	q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		q.leave()
		return false, err
	}
	q.begin()
	return true, nil
}

// takeOrWait takes the place, or has w wait for it: in front, if it has waited before. It
// returns after how long w is to look for itself whether the place is free; 0 if it will be
// told.
func (q *writerQueue) takeOrWait(w *queued) (took bool, look time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.told: // while it was about to look
		if w.has {
			return true, 0
		}
	default:
	}
	if !w.waits {
		q.add(w)
	}
	took = q.state.CompareAndSwap(placeFree, placeTaken)
	if !took && w.late >= queueLate {
		look = max(0, min(firstLook<<min(w.late-queueLate, 8), lastLook, w.turnIn(time.Now())))
	}
	if took || look == 0 && q.take() {
		w.came = q.came
		q.remove(w)
		q.tellNext()
		return true, 0
	}
	return false, look
}

func (q *writerQueue) add(w *queued) {
	if w.late == 0 {
		q.came++
		if q.rests != nil {
			q.rests.told <- struct{}{}
			q.rests = nil
		}
	}
	switch {
	case q.first == nil:
		q.first, q.last = w, w
	case w.late > 0:
		w.next, q.first.prev, q.first = q.first, w, w
	default:
		w.prev, q.last.next, q.last = q.last, w, w
	}
	w.waits = true
}

// take takes the place, or has whoever has it tell the first that waits. The caller holds
// mu.
func (q *writerQueue) take() bool {
	for {
		switch s := q.state.Load(); {
		case s == placeFree:
			if q.state.CompareAndSwap(s, placeTaken) {
				return true
			}
		case s&placeWanted != 0, q.state.CompareAndSwap(s, s|placeWanted):
			return false
		}
	}
}

// tellNext has the first that waits told when the place is left, by the caller, who has
// it, and holds mu.
func (q *writerQueue) tellNext() {
	if q.first != nil {
		q.state.Store(placeTaken | placeWanted)
	}
}

// giveUp ends the wait of w; true if it has the place all the same, be it only so that the
// others are told.
func (q *writerQueue) giveUp(w *queued) (has bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.waits {
		q.remove(w)
	} else if <-w.told; w.has {
		return true
	}
	if q.first == nil || !q.take() {
		return false
	}
	q.tellNext()
	return true
}

func (q *writerQueue) remove(w *queued) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next, w.waits = nil, nil, false
}
