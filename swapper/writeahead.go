package swapper

import "os"

// writeAhead has the kernel write while SQLite makes more.
type writeAhead struct {
	file    *os.File // the WAL; nil if there is none
	started int64    // how much of it
}

// writeAhead is for a WAL: nobody has locks on it that another descriptor's end would
// drop, as on the database itself.
func (o *overwrite) writeAhead() *writeAhead {
	w := &writeAhead{}
	if o.push.wal {
		w.file, _ = os.Open(o.target.path + "-wal")
	}
	return w
}

// start begins to write what is there.
func (w *writeAhead) start() {
	if w.file == nil {
		return
	}
	if info, err := w.file.Stat(); err == nil && info.Size() > w.started {
		startWriteback(w.file, w.started, info.Size()-w.started)
		w.started = info.Size()
	}
}

func (w *writeAhead) close() {
	if w.file != nil {
		w.file.Close()
	}
}
