package driver

import (
	"maps"
	"slices"
	"time"
)

// QueuedWriters tells tests whether the place in the writers' queue is taken.
func QueuedWriters(d *Database) int { return len(d.writers) }

// Ticks is how often it was looked whether the file was replaced.
func Ticks(d *Database) uint64 { return d.ticks.Load() }

// Tick is a look of the timer's, and none follows.
func Tick(d *Database) {
	d.tick()
	StopTicking(d)
}

// Marked returns a count of those of the database's connections of now whose
// next call waits at the gate, or does for a look at why.
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

// StopTicking leaves that to the calls.
func StopTicking(d *Database) {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	if d.watch.timer == nil { // a look goes on, and would set the next one
		d.watch.timer = time.NewTimer(0)
	}
	d.watch.timer.Stop()
}

// Abandoned is how many connections were given up.
func Abandoned() int {
	abandoned.Lock()
	defer abandoned.Unlock()
	return len(abandoned.all)
}

// Ticked has connections look at the file on their next first use.
func Ticked(d *Database) { d.ticks.Add(1) }

// Watched reports whether a look at the file is to come.
func Watched(d *Database) bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.timer != nil || d.watch.adoption != nil
}

// KeptStatements lists the texts of the statements that the database's
// connections, of which none may be in use, keep compiled.
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

// InterruptByForce interrupts what runs on the database's connections, as a forced
// freeze does.
func InterruptByForce(d *Database) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.interruptByForce()
	}
}
