package driver

import (
	"context"
	"errors"
	stdlog "log"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// ExternalReplace is what becomes of a program's connections when something else
// than a swap puts another file at a database's path.
type ExternalReplace int

const (
	// AdoptReplaced moves all connections to the new file together, once what
	// is under way has ended; what has not after some seconds is interrupted, as
	// by FreezeOptions.Force: it works on a file that is gone. Nothing checks
	// the new file. It is a swap: a new generation begins and OnSwap runs.
	AdoptReplaced ExternalReplace = iota
	// RefuseReplaced fails every new call with ErrReplaced until the old file is
	// back at the path, or the program starts anew. The old file stays open.
	RefuseReplaced
)

// ErrReplaced: something else than a swap has put another file at the database's
// path, or removed the file.
var ErrReplaced = errors.New("hotswap: the database file was replaced or removed by something else than a swap: " +
	"put the old one back, or restart the program to use what is there now")

const (
	// watchEvery is how often it is looked whether the file was replaced.
	watchEvery = 500 * time.Millisecond
	// adoptTimeout is how long a replaced file's users may go on with it.
	adoptTimeout = 5 * time.Second
)

// fileID names a file, whatever its path; zero for none.
type fileID struct{ dev, ino uint64 }

func statID(path string) fileID {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return fileID{}
	}
	return fileID{uint64(st.Dev), uint64(st.Ino)}
}

// watch knows which file the connections have open, and sees when another one is
// at the path: writes into the old one would be lost, and its WAL, found beside
// the new one by whoever opens that, would be replayed into it.
//
// It looks by stat, which opens nothing: closing any descriptor of the file would
// drop the connections' locks.
type watch struct {
	mu      sync.Mutex // guards what follows; after every other lock in order
	file    fileID     // that the connections have open, or had last
	open    int        // SQLite connections
	left    bool       // they have left a replaced file since the last Thaw
	timer   *time.Timer
	refused bool // RefuseReplaced has come true; then freezing is held
	refuses bool // RefuseReplaced is wanted
	missing int  // looks in a row that found nothing at the path
	log     *zerolog.Logger
}

func (w *watch) configure(d *Driver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = w.refuses || d.external == RefuseReplaced
	if d.log != nil {
		w.log = d.log
	}
}

// mayOpen refuses to open a connection beside others that have another file
// open: it would find the old one's WAL.
func (d *Database) mayOpen() error {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == 0 && !w.refuses || w.file == (fileID{}) || statID(d.path) == w.file {
		return nil
	}
	return ErrReplaced
}

// noteOpened counts a connection. If it is the first after a while, on another
// file than those before it, that is a replacement, too. The file is the one that
// was at the path before it was opened, if one was: should another be there by
// now, SQLite may have opened either, and the next look will find it moved.
func (d *Database) noteOpened(before fileID) {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := before
	if now == (fileID{}) {
		now = statID(d.path)
	}
	if w.open == 0 || w.file == (fileID{}) {
		if w.file != (fileID{}) && w.file != now && now != (fileID{}) {
			w.left = true
		}
		if w.left {
			go d.announce()
		}
		w.file = now
	}
	w.open++
	if w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, d.look)
	}
}

// announce begins the generation of a file that was put there while no
// connection was open.
func (d *Database) announce() {
	if frozen, err := d.Freeze(context.Background(), FreezeOptions{Timeout: adoptTimeout}); err == nil {
		frozen.Thaw()
	}
}

// forget is what a thaw does: it reports whether the connections have left a file
// that something else replaced. What a swap has put at the path is no surprise.
func (w *watch) forget(swapped bool) (external bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	external, w.left = w.left && !swapped, false
	if (swapped || external) && w.open == 0 {
		w.file = fileID{}
	}
	return external
}

// abandon notes that one of the connections was given up, open as it may be.
func (w *watch) abandon(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == 1 && w.movedLocked(path) {
		w.left = true
	}
	w.open--
}

// look is one look of the timer's. It is not set again while no connection is
// open.
func (d *Database) look() {
	w := &d.watch
	d.looks.Add(1)
	w.mu.Lock()
	w.timer = nil
	if w.file == (fileID{}) && w.open > 0 {
		w.file = statID(d.path) // SQLite makes a new file with the first write
	}
	goOn := w.open > 0 || w.refused
	if w.open > 0 && statID(d.path) == (fileID{}) {
		w.missing++
	} else {
		w.missing = 0
	}
	gone := w.missing == 2
	w.mu.Unlock()
	if gone {
		w.warn(d.path).Msg("the database file was removed or moved away by something else: what the program writes is lost when it ends, unless the file is moved back")
	}
	if !goOn {
		return
	}
	d.follow(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, d.look)
	}
}

// moved reports whether another file is at the path than the one that the
// connections have open. A path with nothing at it is not that yet: the new file
// may be on its way.
func (d *Database) moved() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.movedLocked(d.path)
}

func (w *watch) movedLocked(path string) bool {
	if w.open == 0 || w.file == (fileID{}) {
		return false
	}
	now := statID(path)
	return now != fileID{} && now != w.file
}

// CheckFile looks whether something else than a swap has replaced the file, and
// deals with it as WithExternalReplace says. The driver does so by itself, twice
// a second and on a connection's first use after it idled; it is for who is about
// to open the path by other means. It returns ErrReplaced if the new file is
// refused.
func (d *Database) CheckFile(ctx context.Context) error { return d.follow(ctx) }

// settle is follow for who could not open a connection: it returns once one may
// be opened. While nothing is at the path it is an error.
func (d *Database) settle(ctx context.Context) error {
	for {
		if err := d.leave(ctx); err != nil {
			return err
		}
		if err := d.mayOpen(); err == nil || !d.moved() {
			return err
		}
	}
}

// follow deals with a replaced file. It must not be called within a call.
func (d *Database) follow(ctx context.Context) error {
	w := &d.watch
	w.mu.Lock()
	moved, refuses, refused := w.movedLocked(d.path), w.refuses, w.refused
	back := refused && statID(d.path) == w.file
	if back {
		w.refused = false
	}
	w.mu.Unlock()
	switch {
	case back:
		d.openGate(nil)
		d.freezing.Unlock()
		w.warn(d.path).Msg("the database file is back at its path: calls go on")
		return nil
	case refused:
		return ErrReplaced
	case !moved:
		return nil
	case refuses:
		return d.refuse()
	}
	frozen, err := d.Freeze(ctx, FreezeOptions{Timeout: adoptTimeout, Force: true})
	if errors.Is(err, ErrFreezing) {
		return nil // who freezes it closes the connections, and that is all there is to it
	}
	if err != nil {
		w.warn(d.path).Err(err).Msg("the database file was replaced by something else, and the connections can't leave the old one yet")
		return err
	}
	frozen.Thaw()
	return nil
}

// leave is follow for who can't use the old file: it returns once the connections
// have left that, or are about to, by another's hand.
func (d *Database) leave(ctx context.Context) error {
	if err := d.follow(ctx); err != nil || !d.moved() {
		return err
	}
	select {
	case <-time.After(firstWindow):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuse has new calls fail.
func (d *Database) refuse() error {
	if !d.freezing.TryLock() {
		return nil // the next look comes
	}
	w := &d.watch
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
	d.shutGate()
	d.mu.Lock()
	d.wakeLocked() // who waits is refused, too
	d.mu.Unlock()
	w.warn(d.path).Msg("the database file was replaced by something else: calls are refused until it is back")
	return ErrReplaced
}

func (d *Database) refusing() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.refused
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
