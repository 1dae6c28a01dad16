package driver

// shutGate marks every connection, and makes new ones wait.
func (d *Database) shutGate() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	d.filter.Store(nil)
	d.wantAllLocked()
}

// filterGate marks every connection, and admits the calls that the filter does not
// stop.
func (d *Database) filterGate(f *filter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = false
	d.filter.Store(f)
	d.wantAllLocked()
	d.wakeLocked()
}

// wantAllLocked marks every connection, and only then waits for those that are being
// closed or reopened, which have the processors to themselves then.
func (d *Database) wantAllLocked() {
	for c := range d.conns {
		c.state.mark()
	}
	for c := range d.conns {
		c.want()
	}
}

// openGate removes the mark from every connection except those in keep, whose exit the
// freeze wants to see, and makes waiting calls look again.
func (d *Database) openGate(keep map[*conn]word) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = false
	d.filter.Store(&filter{}) // for the kept ones: nothing is stopped
	for c := range d.conns {
		if _, ok := keep[c]; !ok {
			c.release()
		}
	}
	if len(keep) == 0 {
		d.filter.Store(nil)
	}
	d.wakeLocked()
}

// admits reports whether a marked connection may be used for the query.
func (d *Database) admits(query string) bool {
	f := d.filter.Load()
	return f != nil && !f.stops(query)
}

func (d *Database) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

func (d *Database) wakeLocked() {
	close(d.reopened)
	d.reopened = make(chan struct{})
}

// signal tells a waiting freeze that a connection has drained.
func (d *Database) signal() {
	select {
	case d.drainage <- struct{}{}:
	default:
	}
}

func (d *Database) setFrozen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = true
}

func (d *Database) isFrozen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.frozen
}
