package driver

import (
	"maps"
	"slices"
	"time"
)

// QueuedWriters is 1 while the place in the writers' queue is taken, else 0.
func QueuedWriters(d *Database) int {
	if d.writers.taken() {
		return 1
	}
	return 0
}

// WaitingWriters is how many wait for that place.
func WaitingWriters(d *Database) (n int) {
	d.writers.mu.Lock()
	defer d.writers.mu.Unlock()
	for w := d.writers.first; w != nil; w = w.next {
		n++
	}
	return n
}

// PatientWriters makes writers wait for it as long as their busy timeout.
func PatientWriters(d *Database) { d.writers.patience = time.Hour }

// Ticks is how often the file was checked for having been replaced.
func Ticks(d *Database) uint64 { return d.ticks.Load() }

// Tick runs the timer's check once, without scheduling another.
func Tick(d *Database) {
	d.tick()
	StopTicking(d)
}

// EndLeaked is what a tick does about Rows.
func EndLeaked(d *Database) { d.endLeaked() }

// Marked returns a function that counts those of the database's current connections
// whose next call waits at the gate, at least long enough to see why.
func Marked(d *Database) func() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	conns := slices.Collect(maps.Keys(d.conns))
	return func() (n int) {
		for _, c := range conns {
			if c.state.load().wanted() {
				n++
			}
		}
		return n
	}
}

// CantLeave is what happens when the move to another file fails.
func CantLeave(d *Database, err error) { d.cantLeave(err) }

// StopTicking leaves checking the file to the calls.
func StopTicking(d *Database) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	if d.watch.timer == nil { // a tick is running, and would schedule the next one
		d.watch.timer = time.NewTimer(0)
	}
	d.watch.timer.Stop()
}

// Rests reports whether the file is not looked at twice a second.
func Rests(d *Database) bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.rest.resting
}

// DeafenPath keeps what the kernel says of the database's path from it.
func DeafenPath(d *Database) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	d.watch.rest.path.Stop()
}

// FewDatabases is of how many none rests.
const FewDatabases = fewDatabases

// Abandoned is how many connections were abandoned.
func Abandoned() int {
	abandoned.Lock()
	defer abandoned.Unlock()
	return len(abandoned.all)
}

// Ticked makes connections check the file on their next first use.
func Ticked(d *Database) { d.ticks.Add(1) }

// Watched reports whether a tick is scheduled or an adoption in progress.
func Watched(d *Database) bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.timer != nil || d.watch.adoption != nil
}

// KeptStatements lists the texts of the statements that the database's connections,
// none of which may be in use, keep compiled.
func KeptStatements(d *Database) (texts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		for _, s := range c.cache.stmts {
			texts = append(texts, s.query)
		}
	}
	return texts
}

// KeptBytes is how much memory those statements take.
func KeptBytes(d *Database) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		n += c.cache.bytes
	}
	return n
}

// InterruptByForce interrupts what runs on the database's connections, as a forced
// freeze does.
func InterruptByForce(d *Database) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.interruptByForce()
	}
}

// SetInvitePatience bounds the wait for those who are asked to join, until restore is
// called.
func SetInvitePatience(d time.Duration) (restore func()) {
	was := invitePatience
	invitePatience = d
	return func() { invitePatience = was }
}

// AwaitOnSwap returns once the callbacks have run for all swaps so far, and for one more,
// which is none.
func AwaitOnSwap(d *Database) { <-d.notify(Swap{}) }

// SetOnSwapPatience bounds a Thaw's wait for the callbacks, until restore is called.
func SetOnSwapPatience(d time.Duration) (restore func()) {
	was := onSwapPatience
	onSwapPatience = d
	return func() { onSwapPatience = was }
}

// UnlockNotify is whether the build tag sqlite_unlock_notify is set: then no shared cache
// can be opened.
const UnlockNotify = unlockNotify

// LeaveWaiting counts calls as waiting that are not.
func LeaveWaiting(d *Database, n int64) { d.waiting.Add(n) }

// NotedBytes is the length of the queries that the connections remember.
func NotedBytes(d *Database) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		n += len(c.queries[0]) + len(c.queries[1])
	}
	return n
}
