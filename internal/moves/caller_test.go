package moves

import (
	"context"
	"errors"
	"fmt"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// caller is one of the program's goroutines.
type caller struct {
	who   string
	pause time.Duration // between two rounds
	round func(c *caller)
	seq   int64 // of its last write
}

func (p *program) rounds(c *caller) {
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(c.pause):
		}
		p.still.RLock()
		c.round(c)
		p.still.RUnlock()
	}
}

// record has fn make a call, and tells what came of it. The event is told only
// once the call was: an acknowledgement that is written down was given. A
// program that is killed may have given more.
func (p *program) record(e event, fn func(context.Context, *event) error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	e.Start = time.Now().UnixNano()
	if e.First == 0 {
		e.First = p.db.Generation()
	}
	err := fn(ctx, &e)
	e.Last = p.db.Generation()
	e.End = time.Now().UnixNano()
	if err != nil && err.Error() == "sql: database is closed" {
		return // it ends
	}
	if err != nil {
		e.Fail, e.Text = failureOf(ctx, err), err.Error()
		if se := (sqlite3.Error{}); errors.As(err, &se) {
			e.Text += fmt.Sprintf(" (%d)", se.ExtendedCode)
		}
	}
	p.out <- e
}

func failureOf(ctx context.Context, err error) string {
	var se sqlite3.Error
	errors.As(err, &se)
	switch {
	case errors.Is(err, driver.ErrForced):
		return failForced
	case errors.Is(err, driver.ErrReplaced):
		return failReplaced
	case ctx.Err() != nil:
		return failHung
	case se.ExtendedCode == sqlite3.ErrReadonlyDbMoved:
		return failMoved
	case se.Code == sqlite3.ErrIoErr:
		return failIO
	case se.Code == sqlite3.ErrBusy:
		return failBusy
	case se.Code == sqlite3.ErrCantOpen:
		return failCantOpen
	}
	return failOther
}
