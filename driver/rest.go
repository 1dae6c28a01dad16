package driver

import (
	"maps"
	"slices"
	"time"

	"hotswap/internal/dbpath"
	"hotswap/internal/fileid"
	"hotswap/internal/pathwatch"
)

// In a program with many databases, those that nobody uses rest. To look at the file of
// each twice a second would cost more than all that the program does with them, so of a
// file whose database rests the kernel tells when another one may be at its path, where
// it can tell; the next tick comes at once then. It also comes with the next use, and
// after a minute in any case, for what nobody has thought of. By then the connections give
// back the memory that they do not need to stay open.

const (
	// fewDatabases cost next to nothing, and so nothing is watched for them: the user may
	// have only so many watches (inotify(7)).
	fewDatabases = 64
	// restFor is how often the file of a database that rests is looked at.
	restFor = time.Minute
)

// rest is guarded by watch.mu.
type rest struct {
	resting bool             // the next tick is restFor after the last
	path    *pathwatch.Watch // ended only once a tick is due; nil for none
	refused time.Time        // when there could be none
}

// unused reports whether no call was made on any connection since it was last asked, and
// nothing is held; it also sees the holds (Holder.For).
func (d *Database) unused() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holdersLocked(isHeld)
	unused := true
	for c := range d.conns {
		w := c.state.load()
		unused = unused && w == c.ticked && w.state() == stateIdle && !w.wanted()
		c.ticked = w
	}
	return unused
}

// mayRest reports whether the kernel will tell when this file may no longer be the one at
// the path. The caller holds no lock.
func (d *Database) mayRest(file fileid.ID) bool {
	w := &d.watch
	w.mu.Lock()
	watched, refused := w.rest.path != nil, w.rest.refused
	w.mu.Unlock()
	if watched {
		return true
	}
	names, few := d.namesAmong()
	if few || time.Since(refused) < restFor {
		return false
	}
	p, err := d.watchPath(names, file)
	w.mu.Lock()
	if err != nil {
		w.rest.refused = time.Now()
		w.mu.Unlock()
		return false
	}
	w.rest.stop()
	w.rest.path = p
	w.mu.Unlock()
	if now, _ := d.namesAmong(); !slices.Equal(now, names) {
		d.forgetPath()
		return false
	}
	return true
}

func (d *Database) watchPath(names []string, file fileid.ID) (*pathwatch.Watch, error) {
	path, links := d.Path(), []string(nil)
	for _, name := range names {
		real, more, err := dbpath.Links(name)
		if err == nil && real != path { // as SQLite sees it, or it was just repointed
			err = pathwatch.ErrChanged
		}
		if err != nil {
			return nil, err
		}
		links = append(links, more...)
	}
	return pathwatch.New(path, links, file, d.pathChanged)
}

// namesAmong returns the names under which pools have the database open, sorted, and
// whether it is one of few.
func (d *Database) namesAmong() (names []string, few bool) {
	registry.Lock()
	defer registry.Unlock()
	return slices.Sorted(maps.Keys(d.names)), registry.managed <= fewDatabases
}

func (d *Database) releaseMemory() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.releaseMemory()
	}
	d.signal() // to a freeze that has just marked one of them
}

// releaseMemory finalizes the statements that c keeps, and gives back SQLite's copies of
// pages, if c is idle.
func (c *conn) releaseMemory() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.load().state() != stateIdle || !c.claim() {
		return
	}
	c.cache.close()
	if i := &c.cancel.interrupter; i.known {
		i.handle.ReleaseMemory()
	}
	c.unclaim(stateIdle)
}

// pathChanged has the file looked at.
func (d *Database) pathChanged(p *pathwatch.Watch) {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rest.path == p {
		w.rest.path = nil
		d.rouseLocked(0)
	}
}

// forgetPath is for changes of the path, or of the names that lead to it.
func (d *Database) forgetPath() {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	d.watch.rest.stop()
	d.rouseLocked(0)
}

// rouse ends a rest.
func (d *Database) rouse() {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	if d.watch.rest.resting {
		d.rouseLocked(watchEvery)
	}
}

func (d *Database) rouseLocked(due time.Duration) {
	w := &d.watch
	w.rest.resting = false
	if w.timer != nil && w.timer.Stop() {
		w.timer = time.AfterFunc(due, d.tick)
	}
}

// restLocked begins a rest, unless something has ended it already.
func (w *watch) restLocked(d *Database) bool {
	if w.timer != nil || w.refused || w.rest.path == nil || w.rest.path.Ended() {
		return false
	}
	w.rest.resting = true
	now := time.Now()
	due := now.Add(restFor).Truncate(time.Second) // with others: to wake an idle process costs more than a look
	w.timer = time.AfterFunc(due.Sub(now), d.tick)
	d.ticks.Add(1) // so that a connection that was used just now wakes it with its next use, too
	return true
}

// stop ends the watch of the path.
func (r *rest) stop() {
	if r.path != nil {
		r.path.Stop()
	}
	r.path, r.resting = nil, false
}
