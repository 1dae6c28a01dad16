package driver

import (
	"context"
	stdlog "log"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

const (
	// watchEvery is how often the file is checked for having been replaced.
	watchEvery = 500 * time.Millisecond
	// adoptTimeout is how long users of a replaced file may go on with it.
	adoptTimeout = 5 * time.Second
)

// watch knows which file the connections have open, and notices when another one is at
// the path: writes to the old one would be lost, and its WAL, found beside the new one
// by whoever opens that, would be replayed into it.
//
// It looks by stat, which opens nothing: closing any descriptor of the file would drop
// the connections' POSIX locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
// The door keeps anybody from opening the new one in the meantime.
type watch struct {
	mu       sync.Mutex // guards what follows
	file     fileid.ID  // open in the connections, or the last one that was
	before   fileid.ID  // the last one from before the database was unmanaged
	open     int        // SQLite connections
	timer    *time.Timer
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

// noteOpened counts a connection, and records which file it has open.
func (d *Database) noteOpened(path string, file fileid.ID) {
	d.admit(path, file)
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	d.watchLocked()
}

// noteAttached records that a connection of another database has the file open. If that
// is the first to have a file of the database open, the file is admitted.
func (d *Database) noteAttached(path string, file fileid.ID) {
	w := &d.watch
	w.mu.Lock()
	first := w.file == fileid.None
	w.mu.Unlock()
	if first {
		d.admit(path, file)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.watchLocked()
}

// watchLocked schedules the next tick. The caller holds watch.mu.
func (d *Database) watchLocked() {
	if w := &d.watch; w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, d.tick)
	}
}

// usedLocked reports whether anything in the process has the database's file open. The
// caller holds watch.mu.
func (d *Database) usedLocked() bool {
	return d.watch.open > 0 || door.File(d.Path()) != fileid.None
}

// forgetFile ends the watch with the last reference to a managed database.
func (d *Database) forgetFile() {
	w := &d.watch
	w.mu.Lock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	refused := w.refused
	if w.file != fileid.None {
		w.before = w.file // somebody may have kept the Database, and its generation
	}
	w.refused, w.refuses, w.file, w.warning, w.seen, w.missing = false, false, fileid.None, "", observation{}, 0
	w.givenUp, w.leaving = fileid.None, false
	w.mu.Unlock()
	if refused {
		d.openGate(nil)
		d.freezing.Unlock()
	}
}

// noteClosed undoes what noteOpened counted.
func (w *watch) noteClosed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

// tick is one run of the timer, which is not set again while nothing has the file open.
func (d *Database) tick() {
	w := &d.watch
	d.ticks.Add(1)
	now := fileid.Of(d.Path())
	w.mu.Lock()
	w.timer = nil
	used := d.usedLocked()
	goOn := used || w.refused
	if used && now == fileid.None {
		w.missing++
	} else {
		w.missing = 0
	}
	gone := w.missing == 2
	w.mu.Unlock()
	if gone {
		if _, repointed := d.repointedTo(); !repointed {
			lognote.Send(w.warn(d.Path()), "the database file was removed or moved away: what the program writes is lost when it exits, unless the file is moved back")
		}
	}
	if !goOn {
		return
	}
	<-d.adopt().ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.usedLocked() || w.refused {
		d.watchLocked()
	}
}

// moved reports whether the file at the path is not the one that is open in this
// process, or the path has changed. If nothing is at the path it has not moved yet, since
// the new file may be on its way; unless the old one is given up for none.
func (d *Database) moved() bool {
	if _, repointed := d.repointedTo(); repointed {
		return true
	}
	path := d.Path()
	opened := door.File(path)
	if opened == fileid.None {
		return false
	}
	if now := fileid.Of(path); now != fileid.None {
		return now != opened
	}
	return d.watch.givesUp(opened)
}

// Warning says what keeps the connections from a file that something else put at the
// path (that it is incomplete, say); "" if there is no such file.
func (d *Database) Warning() string {
	if l := d.left.Load(); l != nil && fileid.Of(l.path+"-wal") == l.wal {
		return l.why
	}
	if !d.moved() {
		return d.warningClosed()
	}
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.warning
}

// warningClosed is Warning while nothing of the database is open.
func (d *Database) warningClosed() string {
	path := d.Path()
	d.watch.mu.Lock()
	known := d.watch.file
	d.watch.mu.Unlock()
	now := fileid.Of(path)
	if known == fileid.None || now == fileid.None || now == known || door.File(path) != fileid.None {
		return ""
	}
	ready, why, soon := d.ready(path, now)
	if ready || soon {
		return ""
	}
	return why
}

// CheckFile checks whether something other than a swap has replaced the file, and
// handles that as WithExternalReplace says.
func (d insider) CheckFile(ctx context.Context) error {
	if !d.moved() && !d.refusing() {
		return d.checkClosed()
	}
	select {
	case <-d.adopt().ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case d.refusing():
		return ErrReplaced
	case d.moved() && door.File(d.Path()) == fileid.None:
		d.awaitReady()
		return d.mayOpen()
	case d.moved():
		return &replacedError{d.Path(), d.Warning()}
	}
	return nil
}

func (d *Database) refusing() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.refused
}

func (d *Database) refusesReplaced() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.refuses
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
