package swapper

import (
	"context"
	"errors"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// visitTries is how often a visit waits for a break in the program's writes and
// transactions, each time for quietPause at most. Then it takes place regardless: in WAL
// mode it is in nobody's way, and a call that meets it is made again.
const visitTries = 5

// visit runs fn with a connection to the live database, with the gate open. A program
// that is alone with its database may have no patience for locks (_busy_timeout=0): so
// its writes wait for these milliseconds, and those that are running are waited for.
//
// fn may run several times: if SQLite is busy it is tried again, up to the push's
// timeout, with the connection closed in between. What happens then is said at
// visitLocked.
func (p *push) visit(ctx context.Context, fn func(*live) error) error {
	began := time.Now()
	for try := 1; ; try++ {
		tried := time.Now()
		err := p.visitOnce(ctx, p.wal || try > visitTries || p.left() == 0, fn)
		switch {
		case err == errNoBreak:
		case !busyElsewhere(err):
			return err
		case time.Since(tried) >= p.left():
			p.used += time.Since(tried)
			return p.visitLocked(ctx, fn, err, time.Since(began))
		case time.Since(began) > exclusiveLook:
			if inVain := exclusive(p.db); inVain != nil {
				return inVain
			}
		}
		select {
		case <-time.After(2 * quietPause):
		case <-ctx.Done():
			return ctx.Err()
		}
		p.used += time.Since(tried)
	}
}

var errNoBreak = errors.New("the program is writing")

func (p *push) visitOnce(ctx context.Context, regardless bool, fn func(*live) error) error {
	defer inside.Of(p.db).Visit()()
	quiet, err := quieten(ctx, p.db, quietPause)
	switch {
	case err == nil:
		defer quiet.Thaw()
		p.writers = quiet.Holders
		if len(quiet.Holders) > 0 && !regardless {
			return errNoBreak
		}
	case errors.Is(err, driver.ErrFreezing): // by the program: there are no calls to be kept from
	default:
		return err
	}
	return p.withLive(ctx, quietPause, fn)
}

// withLive runs fn with a connection, for which the caller has made room.
func (p *push) withLive(ctx context.Context, wait time.Duration, fn func(*live) error) error {
	if _, err := p.target.still(); err != nil {
		return err
	}
	l, err := openLive(ctx, p.db, wait)
	if err != nil {
		return err
	}
	defer l.close()
	p.wal = l.wal
	return fn(l)
}
