package driver

import "time"

// QueuedWriters tells tests whether the place in the writers' queue is taken.
func QueuedWriters(d *Database) int { return len(d.writers) }

// Looks is how often it was looked whether the file was replaced.
func Looks(d *Database) uint64 { return d.looks.Load() }

// StopLooking leaves that to the calls.
func StopLooking(d *Database) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	if d.watch.timer == nil { // a look goes on, and would set the next one
		d.watch.timer = time.NewTimer(0)
	}
	d.watch.timer.Stop()
}
