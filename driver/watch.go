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
	// watchEvery is how often it is looked whether the file was replaced.
	watchEvery = 500 * time.Millisecond
	// adoptTimeout is how long a replaced file's users may go on with it.
	adoptTimeout = 5 * time.Second
)

// watch knows which file the connections have open, and sees when another one is
// at the path: writes into the old one would be lost, and its WAL, found beside
// the new one by whoever opens that, would be replayed into it.
//
// It looks by stat, which opens nothing: closing any descriptor of the file would
// drop the connections' locks. That nobody opens the new one in the meantime is
// the door's part.
type watch struct {
	mu       sync.Mutex // guards what follows
	file     fileid.ID  // that the connections have open, or had last
	before   fileid.ID  // that they had last before the database was given up for a while
	open     int        // SQLite connections
	timer    *time.Timer
	refused  bool      // RefuseReplaced has come true; then freezing is held
	refuses  bool      // RefuseReplaced is wanted
	missing  int       // looks in a row that found nothing at the path
	adoption *adoption // under way; nil for none
	seen     sight     // of the file that is to be adopted
	warning  string    // why it is not
	kept     keptOut
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

// noteOpened counts a connection, and what file it has.
func (d *Database) noteOpened(path string, file fileid.ID) {
	d.admit(path, file)
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	d.watchLocked()
}

// noteAttached says that a connection of another database has the file open. If it is
// the first to have one of the database's, that one is its first.
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

// watchLocked has the next look come, with watch.mu held.
func (d *Database) watchLocked() {
	if w := &d.watch; w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, d.look)
	}
}

// usedLocked reports whether anything in the process has the database's file open, with
// watch.mu held.
func (d *Database) usedLocked() bool {
	return d.watch.open > 0 || door.File(d.Path()) != fileid.None
}

// forgetFile ends the watch, with the last reference to a managed database.
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
	w.refused, w.refuses, w.file, w.warning, w.seen, w.missing = false, false, fileid.None, "", sight{}, 0
	w.mu.Unlock()
	if refused {
		d.openGate(nil)
		d.freezing.Unlock()
	}
}

// noteClosed is the end of what noteOpened counted.
func (w *watch) noteClosed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

// look is one look of the timer's. It is not set again while nothing has the file
// open.
func (d *Database) look() {
	w := &d.watch
	d.looks.Add(1)
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
		if _, turned := d.turnedTo(); !turned {
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

// moved reports whether another file is at the path than the one that is open in
// this process, or the path is another one. A path with nothing at it is not that
// yet: the new file may be on its way.
func (d *Database) moved() bool {
	if _, turned := d.turnedTo(); turned {
		return true
	}
	path := d.Path()
	opened := door.File(path)
	if opened == fileid.None {
		return false
	}
	now := fileid.Of(path)
	return now != fileid.None && now != opened
}

// Warning says what keeps the connections from a file that something else put at
// the path, and that is not whole, say; "" if there is nothing of the kind.
func (d *Database) Warning() string {
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

// CheckFile looks whether something else than a swap has replaced the file, and
// deals with it as WithExternalReplace says. The driver does so by itself, twice
// a second and on a connection's first use after it idled; it is for who is about
// to open the path by other means. It returns an error that is ErrReplaced if the
// connections don't move to the file that is there now. It must not be called with
// Rows or a transaction of the database open.
func (d *Database) CheckFile(ctx context.Context) error {
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
		d.becomesReady()
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

// warn logs, by the standard logger if the driver was not given one: what was
// written since is in a file that nobody may look for.
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

// sight is one look at a file that is to be adopted.
type sight struct {
	file     fileid.ID
	size     int64
	modified time.Time
	since    time.Time // seen so
}

// keptOut is what the log is told of a file that is not adopted.
type keptOut struct {
	file   fileid.ID
	since  time.Time
	logged bool
}
