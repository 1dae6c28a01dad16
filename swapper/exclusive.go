package swapper

import (
	"context"
	"fmt"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// exclusiveLook is how long a lock is waited for before the program's own connections are
// suspected of it.
const exclusiveLook = 250 * time.Millisecond

// exclusive is the error of a database that a connection of the program itself
// keeps locked, which no waiting helps with; nil of any other.
func exclusive(db *driver.Database) error {
	how := inside.Of(db).Exclusive()
	if how == "" {
		return nil
	}
	return &failure{
		text:  fmt.Sprintf("a connection of the program itself keeps the database locked between its transactions, too: %s", how),
		kinds: []error{ErrTarget},
		hint:  "until that ends no push or pull can read it: leave the locking mode at NORMAL (in WAL mode EXCLUSIVE ends only with its connection)",
	}
}

// patiently opens a connection, each time for as long as exclusiveLook, until
// the timeout, unless to wait is in vain.
func patiently(ctx context.Context, db *driver.Database, timeout time.Duration, open func(wait time.Duration) error) error {
	for deadline := time.Now().Add(timeout); ; {
		err := open(min(max(time.Until(deadline), 0), exclusiveLook))
		if !busyElsewhere(err) || ctx.Err() != nil {
			return err
		}
		if inVain := exclusive(db); inVain != nil {
			return inVain
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
