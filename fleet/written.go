package fleet

import (
	"os"
	"time"
)

// stamp tells, without reading a database, that it was not written.
type stamp struct{ file, log fileStamp }

type fileStamp struct {
	size     int64
	modified time.Time
}

// stampOf is that of the database at the path. A WAL that is empty is none: to open the
// database makes one.
func stampOf(path string) stamp {
	of := func(name string) fileStamp {
		info, err := os.Stat(name)
		if err != nil || info.Size() == 0 {
			return fileStamp{}
		}
		return fileStamp{info.Size(), info.ModTime()}
	}
	return stamp{of(path), of(path + "-wal")}
}

// since is the stamp of what was swapped in at that time: none, which equals no other, if it
// was written by the time that it could be looked at. The times of files lag behind by as
// much as a tick.
func (s stamp) since(began time.Time) stamp {
	if s.log.size > 0 || s.file.modified.After(began.Add(-10*time.Millisecond)) {
		return stamp{}
	}
	return s
}

// noticeWrites has the node look again at a version to which something was written, or may
// have been. Once that is known it stays so.
func (d *database) noticeWrites() {
	d.mu.Lock()
	order := d.orderID()
	exact := d.exact()
	d.mu.Unlock()
	// What was written before another order is found out before that is followed.
	before := d.noticedUnder
	if !exact || order == before && time.Since(d.noticed) < d.node.cfg.notice<<min(d.unfounded, 6) {
		return
	}
	d.noticed, d.noticedUnder = time.Now(), order
	if stampOf(d.db.Path()) == d.seen {
		return
	}
	d.unfounded++ // or so it was, and this was the last time
	d.blamed = before
	d.mu.Lock()
	d.doubt()
	d.mu.Unlock()
}

// exact reports whether what is live is a version as it was published, as far as the node
// knows. d.mu is held.
func (d *database) exact() bool {
	return d.db != nil && d.known && d.state.Have != 0 && d.state.Content == ""
}

// orderID is the order that the node knows, "" for none. d.mu is held.
func (d *database) orderID() string {
	if d.view.order == nil {
		return ""
	}
	return d.view.order.ID
}

// isForeign reports whether something else has swapped since the last look.
func (d *database) isForeign() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.foreign
}
