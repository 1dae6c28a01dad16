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

func (d *Database) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

func (d *Database) wakeLocked() {
	close(d.reopened)
	d.reopened = make(chan struct{})
}

// undrained returns the connections that the freeze still waits for, each with its
// current period; nil if there are none.
func (dr *drain) undrained() map[*conn]word {
	d := dr.d
	d.mu.Lock()
	defer d.mu.Unlock()
	var left map[*conn]word
	for c := range d.conns {
		if w := c.state.load(); !w.drained() && dr.concerns(c) {
			if left == nil {
				left = map[*conn]word{}
			}
			left[c] = w.period()
		}
	}
	return left
}
