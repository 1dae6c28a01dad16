package inside

import (
	"context"
	"time"
)

// Extend returns options, which are driver.FreezeOptions, with those added that only swaps
// have.
func Extend[O any](options O, swap FreezeOptions) O {
	Extended(&options, swap)
	return options
}

// Extended is Extend of a *driver.FreezeOptions. Package driver sets it when it is
// initialised.
var Extended func(options any, swap FreezeOptions)

// OfFrozen returns the inside of a *driver.Frozen. Package driver sets it when it is
// initialised.
var OfFrozen func(frozen any) Frozen

// FreezeOptions are what a swap asks of a freeze beside driver.FreezeOptions.
type FreezeOptions struct {
	// InTurn makes the freeze wait, before it closes the gate and with calls flowing,
	// until few enough other databases of the program are closed by such a freeze: at
	// most as many as there are processors, but at least 2 and at most 8. If it gets no
	// turn in time the error is driver.ErrFreezing. A caller that freezes another
	// database meanwhile must not set it.
	InTurn bool

	// Quiet, if set and WritesOnly is not, is called in each attempt before the gate
	// closes. It is for what takes time and need not keep reads waiting. With calls
	// flowing as before it may make ready, and then it may call hold: that has writes and
	// new transactions wait, and reads go on, and reports whether no transaction is open
	// any more; one may have stayed open for as long as the attempt can wait. Writes go on
	// waiting then until the attempt ends, for all of which MaxPause bounds their wait: what
	// Quiet takes may shorten the time for calls to drain. Its context ends when it should
	// return. What writes nonetheless (a function that a SELECT calls, say, or another
	// process) is not kept from it. It is not called if peers take part, whose writes
	// would not wait. An error ends the freeze with that error.
	Quiet func(ctx context.Context, hold func() bool) error

	// InPlace is for callers that replace the content through SQLite, which other
	// processes may use meanwhile. Peers then take part by whatever directory or name they
	// reach the file, and one that does not answer is left out: Frozen.Peers names its
	// problem. If Replaced is called, all are told of it.
	InPlace bool

	// WritesOnly makes only writes and new transactions wait, in peers, too, and closes
	// no connection: reads go on. It is for callers that replace the content through
	// SQLite in WAL mode. Freeze then waits at most MaxPause for open transactions to end,
	// and returns no HeldError: those that are left read the old content to their end.
	// Until Thaw, a call that still gets SQLITE_BUSY waits and is retried; within a
	// transaction that has read content which is gone by then it does get SQLITE_BUSY,
	// as from any other writer.
	WritesOnly bool

	// CloseShared, with WritesOnly, drains and closes the connections with
	// cache=shared, as a freeze does with all if WritesOnly is not set. They share one
	// snapshot, which lasts as long as any of them reads.
	CloseShared bool

	// BeforeClose, if set and WritesOnly is not, is called once all has drained, with the
	// gate closed, before any connection is closed. An error ends the freeze, as do
	// ErrNoneOpen and ErrUnread. A forced freeze has closed some.
	BeforeClose Use

	// BeforeLast, if set and WritesOnly is not, is for a file that is no longer at its path,
	// which a connection that is closed can't open again. Peers close theirs first, and all
	// that have the file must: one that takes no part, or has left, ends the freeze with a
	// *driver.PeerError. Then BeforeLast is called, before any of the program's own is closed.
	// An error ends the freeze, and after it nothing does.
	BeforeLast func() error

	// WritesWait, if set, is called as soon as writes wait, with WritesOnly. It must
	// return at once.
	WritesWait func()
}

// Frozen is a *driver.Frozen as package swapper sees it.
type Frozen interface {
	// ForgiveReplay records that nobody has checked whether the session settings of
	// connections (PRAGMA, ATTACH) can be replayed with the new file. A setting that
	// can't be, because it refers to something that is gone or does not fit, is then
	// dropped with a line in the log; otherwise every call of its connection would fail.
	// It holds until the next swap.
	ForgiveReplay()

	// ThawThen is Thaw, and calls opened once calls flow, before it waits for the OnSwap
	// callbacks, which may need what opened releases. A second one does nothing.
	ThawThen(opened func(Thawed))
}

// Thawed is what a freeze has cost.
type Thawed struct {
	// Pause is the time from gate closed to gate open, as the longest-waiting call felt
	// it, and WritesPause that as writes felt it, which with FreezeOptions.Quiet begin
	// to wait before all other calls do.
	Pause, WritesPause time.Duration
	// Generation is the one that the swap has begun, or the current one. Another may
	// have begun since.
	Generation uint64
}
