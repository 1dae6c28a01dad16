package driver

import (
	"errors"
	stdlog "log"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/fileid"
	"hotswap/internal/peers"
)

const (
	// watchEvery is how often the file is checked for having been replaced.
	watchEvery = 500 * time.Millisecond
	// adoptTimeout is how long users of a replaced file may go on with it.
	adoptTimeout = 5 * time.Second
	// settleEvery is how often it is checked whether a file has become complete.
	settleEvery = 20 * time.Millisecond
	// leadPatience bounds how long another process may take that leads: as long as it
	// may wait for what is held, and for who does not answer.
	leadPatience = adoptTimeout + 2*peers.Silence
)

// watch knows which file the connections have open, and notices when another one is at
// the path: writes to the old one would be lost, and its WAL, found beside the new one
// by whoever opens that, would be replayed into it.
//
// It looks by stat, which opens nothing: closing any descriptor of the file would drop
// the connections' POSIX locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
// The door keeps anybody from opening the new one in the meantime.
type watch struct {
	mu       sync.Mutex  // guards what follows
	file     fileid.ID   // open in the connections, or the last one that was
	before   fileid.ID   // the last one from before the database was unmanaged
	open     int         // SQLite connections
	timer    *time.Timer // of the next tick
	rest     rest
	refused  bool        // calls are being refused; then freezing is held
	refuses  bool        // RefuseReplaced is set
	givenUp  fileid.ID   // removed, and left for none if a new pool goes on waiting for that; see anew
	leaving  bool        // the connections leave it, whoever waits
	missing  int         // consecutive ticks that found nothing at the path
	adoption *adoption   // in progress; nil for none
	seen     observation // the file that is to be adopted, as last seen
	warning  string      // why it is not adopted
	rejected rejection
	behind   behind
	log      *zerolog.Logger
}

func (w *watch) configure(d *Driver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = w.refuses || d.external == RefuseReplaced
	if d.log != nil {
		w.log = d.log
	}
}

// forget ends the watch with the last reference to a managed database, and reports
// whether calls were being refused.
func (w *watch) forget() (refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.rest.stop()
	refused = w.refused
	if w.file != fileid.None {
		w.before = w.file // somebody may have kept the Database, and its generation
	}
	w.refused, w.refuses, w.file, w.warning, w.seen, w.missing = false, false, fileid.None, "", observation{}, 0
	w.givenUp, w.leaving = fileid.None, false
	return refused
}

// noteClosed undoes what noteOpened counted.
func (w *watch) noteClosed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

// warn begins a warning, on the standard logger if the driver was not given one: what
// was written since is in a file that nobody may look for.
func (w *watch) warn(path string) *zerolog.Event {
	w.mu.Lock()
	log := w.log
	w.mu.Unlock()
	if log != nil {
		return log.Warn().Str(fieldDatabase, path)
	}
	std := zerolog.New(stdlog.Writer()).With().Timestamp().Logger()
	return std.Warn().Str(fieldDatabase, path)
}

// observation is one look at a file that is to be adopted.
type observation struct {
	file     fileid.ID
	size     int64
	modified time.Time
	since    time.Time // when it was first seen like this
	still    bool      // it was once found ready: who writes to it now is another process that uses it
}

// rejection is what the log says about a file that is not adopted.
type rejection struct {
	file   fileid.ID
	since  time.Time
	logged bool
}

// behind is what is known of peers that have the file open which was at the path before.
type behind struct {
	file   fileid.ID // at the path now
	since  time.Time // it was first asked for
	looked time.Time
	why    string // it is not opened yet
}

// known is what a look at the path is compared with.
type known struct {
	file    fileid.ID // open in the connections, or the last one that was
	before  fileid.ID // the same, from before the database was last unmanaged
	refuses bool
	warning string
}

func (w *watch) known() known {
	w.mu.Lock()
	defer w.mu.Unlock()
	return known{w.file, w.before, w.refuses, w.warning}
}

// last returns the last known file.
func (k known) last() fileid.ID {
	if k.file == fileid.None {
		return k.before
	}
	return k.file
}

func (k known) refusal(path string, now fileid.ID) error {
	switch {
	case k.warning != "":
		return &replacedError{path, k.warning}
	case now == fileid.None:
		return &replacedError{path, "no file is there"}
	}
	return ErrReplaced
}

// giveUp lets the connections leave a file that was removed, for none.
func (w *watch) giveUp(file fileid.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == file {
		w.givenUp = file
	}
}

func (w *watch) keepOld(file fileid.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if file != fileid.None && w.givenUp == file && !w.leaving {
		w.givenUp, w.warning = fileid.None, ""
	}
}

// givesUp reports whether a pool waits for the connections to leave that file for none.
func (w *watch) givesUp(file fileid.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return file != fileid.None && w.givenUp == file
}

// leaveGivenUp makes it final that the connections leave the file, unless nobody waits
// for that any more.
func (w *watch) leaveGivenUp() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaving = w.givenUp != fileid.None
	return w.leaving
}

// takeLeft reports, once, whether the connections have left the file.
func (w *watch) takeLeft() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.leaving
	if left {
		w.givenUp, w.leaving = fileid.None, false
	}
	return left
}

// stay ends an attempt to leave the file, and records what failed it.
func (w *watch) stay(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaving = false
	if err != nil && !errors.Is(err, ErrFreezing) && w.givenUp != fileid.None {
		w.warning = "the file was removed, but the connections can't leave it: " + err.Error()
	}
}

func (w *watch) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open == 0
}

// noteRejected records why a file is not used, and reports whether that is to be
// logged: once, if it has lasted for so long.
func (w *watch) noteRejected(file fileid.ID, why string, lasted time.Duration) (due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warning = why
	if w.rejected.file != file || w.rejected.since.IsZero() {
		w.rejected = rejection{file: file, since: time.Now()}
	}
	due = !w.rejected.logged && time.Since(w.rejected.since) >= lasted
	w.rejected.logged = w.rejected.logged || due
	return due
}

// adoption is one move of a database's connections to a file that something else put at
// its path, or a check that finds none. It has its own goroutine: the caller's may hold
// Rows that the move waits for, or the pool's only connection, which an OnSwap callback
// needs.
type adoption struct {
	begun chan struct{} // closed once calls wait for it at the gate, or it has ended
	ended chan struct{}
}
