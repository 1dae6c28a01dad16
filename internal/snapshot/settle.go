package snapshot

// Emptied is what became of a WAL that was to be emptied.
type Emptied struct {
	Moved bool // all that it held is in the file, durably
	Done  bool // and it is durably empty
	// Before and Within are the events of the watch until the WAL was about to be
	// truncated, and those from there on until it was.
	Before, Within []byte
}

// SyncError is a sync of the database file, its WAL or its directory that failed. The disk
// reports an error once: a second sync, later, might succeed without anything of it
// being durable.
type SyncError struct {
	Of  string
	Err error
}

func (e *SyncError) Error() string { return "fsync " + e.Of + ": " + e.Err.Error() }
func (e *SyncError) Unwrap() error { return e.Err }
