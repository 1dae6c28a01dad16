package driver

import (
	"fmt"
	"os"
	"time"

	"hotswap/internal/fileid"
	"hotswap/internal/openers"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
)

// A file that something else put at the path is not opened while peers have the one open
// that was there before: its log is at the path still, and SQLite would take it for the new
// file's. Whoever has the old one open leaves it with them; whoever has nothing open waits
// for them, but no longer than one of them may take who leads.

// behind is what is known of those peers.
type behind struct {
	file   fileid.ID // at the path now
	since  time.Time // it was first asked for
	looked time.Time
	why    string // it is not opened yet
}

// awaitsPeers says why the file at the path is not opened yet; "" if it may be. A look
// serves all who ask within lookEvery.
func (d *Database) awaitsPeers(path string, now fileid.ID) (why string) {
	if !d.hasPeers() {
		return ""
	}
	w := &d.watch
	w.mu.Lock()
	b := w.behind
	w.mu.Unlock()
	if b.file != now {
		b = behind{file: now, since: time.Now()}
	}
	if time.Since(b.looked) > lookEvery {
		b.why = d.peerBehind(path)
		b.looked = time.Now()
	}
	if time.Since(b.since) > leadPatience {
		b.why = ""
	}
	w.mu.Lock()
	w.behind = b
	w.mu.Unlock()
	return b.why
}

// peerBehind names a peer that has a file open which was at the path before.
func (d *Database) peerBehind(path string) string {
	for _, c := range peers.Find(ownEndpoint()) {
		c.Close()
		if p := c.Process; p.PID != os.Getpid() && openers.Behind(p.PID, path) {
			return fmt.Sprintf("%s has the one open that was there before", Peer{PID: p.PID, Program: printable.Line(p.Command())})
		}
	}
	return ""
}
