package driver

// QueuedWriters tells tests whether the place in the writers' queue is taken.
func QueuedWriters(d *Database) int { return len(d.writers) }
