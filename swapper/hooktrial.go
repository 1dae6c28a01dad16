package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A connect hook may take as long on a new database as the push waits for other things,
// but no longer than mostForHook; and never less than leastForHook, since no call waits
// for it: a push with a short timeout is not refused because the machine is busy.
const (
	leastForHook = 2 * time.Second
	mostForHook  = 30 * time.Second
)

func (o *PushOptions) hookTimeout() time.Duration {
	return min(max(o.timeout(), leastForHook), mostForHook)
}

// hookTrial is a run of the program's connect hook on a stage.
type hookTrial struct {
	timeout  time.Duration // 0 means mostForHook
	demanded bool          // one that hangs there would hang in the program's connections, too
}

func (p *push) hookTrial() hookTrial {
	return hookTrial{timeout: p.opts.hookTimeout(), demanded: !p.opts.SkipRehearsal}
}

// errHookHangs: a hook that is demanded has not returned in time.
var errHookHangs = errors.New("the connect hook did not return")

// on opens the pool's connection, which runs the hook.
func (h hookTrial) on(ctx context.Context, pool *sql.DB) error {
	timeout := h.timeout
	if timeout == 0 {
		timeout = mostForHook
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := pool.PingContext(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil && h.demanded {
		return hangs("the connect hook", timeout)
	}
	return err
}

// hangs refuses a push because of what opening a connection to the new database waits for.
func hangs(what string, timeout time.Duration) error {
	more := ", or give it more time with --timeout"
	if timeout == mostForHook {
		more = ""
	}
	return &failure{text: fmt.Sprintf("the program could not open its connections to the new database: %s did not return within %v", what, timeout),
		kinds: []error{ErrBadDatabase, errHookHangs}, hint: "find out what it waits for" + more + "; to push anyway: --skip-rehearsal"}
}
