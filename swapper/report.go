package swapper

import (
	"time"

	"hotswap/driver"
	"hotswap/internal/livefile"
)

// Report says what a Push or a Pull did. With an error it says how far the operation
// came.
type Report struct {
	// Source and Target name the two sides, for people.
	Source string `json:"source"`
	Target string `json:"target"`
	// Bytes is the size of the database that was received or sent.
	Bytes int64 `json:"bytes"`
	// SHA256 is the digest of those bytes, in lower-case hexadecimal; empty if it was
	// not computed, as for a push whose integrity check is skipped or quick, unless
	// PushOptions.Digest is set.
	SHA256 string `json:"sha256,omitempty"`
	// Tag names the content of the database that a Pull with Tag has copied: it is the same
	// for the same content, whatever has happened in between. Of a push with PushOptions.IfMatch it is
	// that of the live database when it was last compared.
	Tag string `json:"tag,omitempty"`
	// DryRun is set when everything was checked and nothing replaced.
	DryRun bool `json:"dry_run,omitempty"`
	// Swapped is set once the new file is live, whatever came after.
	Swapped bool `json:"swapped"`
	// Unchanged is set by package sockserver when it did not call Push, since the
	// last push had the same bytes and nothing was written after it.
	Unchanged bool `json:"unchanged,omitempty"`
	// Method is how the database was replaced, or would have been by a dry run:
	// MethodRename or MethodInPlace; "" if it was not.
	Method Method `json:"method,omitempty"`
	// InPlaceBecause says why the push went in place.
	InPlaceBecause string `json:"in_place_because,omitempty"`
	// BackupPath is where the replaced database is kept; "" if it is not.
	BackupPath string `json:"backup_path,omitempty"`
	// GenerationBefore and Generation are the database's generation
	// ([driver.Database.Generation]) before and after the operation.
	GenerationBefore uint64 `json:"generation_before,omitempty"`
	Generation       uint64 `json:"generation,omitempty"`
	// Connections is how many connections were drained and closed.
	Connections int `json:"connections"`
	// Peers are the other processes that took part in a push, each with its own pause and
	// generation.
	Peers []driver.Peer `json:"peers,omitempty"`
	// OnSwapRuns is set if OnSwap callbacks of the program itself had not returned after 30 s:
	// until they do, every further push is refused.
	OnSwapRuns bool `json:"on_swap_runs,omitempty"`
	// Attempts is how often the gate was closed until everything had drained.
	Attempts int `json:"attempts,omitempty"`
	// Holders are what the program held that made an attempt fail.
	Holders []driver.Holder `json:"holders,omitempty"`
	// Pause is the time from gate closed to gate open, in which calls waited: all of them,
	// or in a push in place in WAL mode writes and new transactions alone, while reads
	// went on.
	Pause time.Duration `json:"pause_ns"`
	// WritesPause is the pause as writes and new transactions felt it. In a push by
	// rename on a slow disk, one that takes 1 ms or more for a sync, they begin to
	// wait before reads do: the WAL is emptied, or the end of the journal synced, with reads
	// going on.
	WritesPause time.Duration `json:"writes_pause_ns,omitempty"`
	// Phases are the operation's phases in the order in which they ran.
	Phases []Phase `json:"phases,omitempty"`

	stamp livefile.Stamp // of the database as it was pushed
}

// Unwritten reports whether the database at path is the file that this Push has put
// there, with nothing written to it since. It opens nothing and takes no lock. It may
// be false although nothing was written, but is never true although something was; it is
// false after a push in place, and of a Report that was decoded from JSON.
func (r Report) Unwritten(path string) bool { return r.stamp.Unwritten(path) }

// Phase is one phase of an operation, and how long it took.
type Phase struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
}

// Step names a step of an operation, for logs and status lines.
type Step string

// The steps of a push, in order, then those of a pull. Options leave out some, and
// StepReopened takes a failed attempt back to StepWaiting.
const (
	StepPushStarted     Step = "push started"
	StepComparing       Step = "comparing the live database with the tag"
	StepCompared        Step = "the live database has not changed"
	StepReceiving       Step = "receiving" // progress only: not logged
	StepReceived        Step = "received"
	StepIntegrity       Step = "running integrity check"
	StepIntegrityPassed Step = "integrity check passed"
	StepSchema          Step = "running schema check"
	StepSchemaPassed    Step = "schema check passed"
	StepValidate        Step = "running the program's validation"
	StepValidatePassed  Step = "validation passed"
	StepOlderSQLite     Step = "an older SQLite" // a warning
	StepRehearsal       Step = "opening it as the program will"
	StepRehearsalPassed Step = "the program can open it"
	StepWaiting         Step = "waiting for holds"
	StepGateClosed      Step = "gate closed: calls are queued"
	StepReopened        Step = "gate open again: holds did not drain in time"
	StepForced          Step = "interrupted"
	StepClosed          Step = "closed connections"
	StepRenamed         Step = "renamed stage to target"
	StepInPlace         Step = "going in place"
	StepWritesWait      Step = "writes are queued, reads go on"
	StepOverwriting     Step = "writing in place" // progress only: not logged
	StepOverwritten     Step = "wrote the new content in place"
	StepSwappedBack     Step = "put the old database back"
	StepGateOpen        Step = "gate open: calls resume"
	StepPeers           Step = "other processes"
	StepOnSwapRuns      Step = "OnSwap has not returned"
	StepReconnected     Step = "reconnected"
	StepStaged          Step = "staged"    // the last one of Stage
	StepUnchanged       Step = "unchanged" // instead of all the others
	StepPruned          Step = "removed a backup"
	StepPushComplete    Step = "push complete"
	StepPushFailed      Step = "push failed"

	StepPullStarted  Step = "pull started"
	StepSnapshot     Step = "taking a snapshot"
	StepServed       Step = "copying what has no name" // a warning
	StepCopying      Step = "copying"                  // progress only: not logged
	StepSnapshotDone Step = "snapshot taken"
	StepSending      Step = "sending" // progress only: not logged
	StepPullComplete Step = "pull complete"
	StepPullFailed   Step = "pull failed"
)

// Event is one line of an operation's progress.
type Event struct {
	Time time.Time `json:"time"`
	Step Step      `json:"step"`
	// Text is the line for people, with its figures. It may change from one version to
	// the next.
	Text string `json:"text"`
	// Done and Total are in bytes, for the steps that are progress; Total is 0 if it
	// is not known.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Holders are what StepReopened waits for.
	Holders []driver.Holder `json:"holders,omitempty"`
}
