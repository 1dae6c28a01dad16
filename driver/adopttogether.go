package driver

import (
	"errors"
	"fmt"
	"os"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/openers"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
)

// A file that something else put at the path is moved to by all processes together: the
// one that notices it first leads, and the others drain and close with it, as for a push
// by rename. Nobody opens the new file before all of these have left the old one. That is
// as much as can be had: nothing keeps the file from those who do not answer, and who
// waited for them would serve a database that is gone. So they are left out, and the log
// names them.

// lead makes this process the one that leads the others to the file at the path, until
// release is called. If another one does, or has a push in progress, it waits until that
// has led the database there, and returns false.
func (d *Database) lead(begin func()) (release func(), ok bool) {
	old := door.File(d.Path())
	if !d.hasPeers() || old == fileid.None {
		return func() {}, true
	}
	for late := time.Now().Add(leadPatience); ; {
		release, err := peers.Claim(old)
		if err == nil {
			return release, true
		}
		var claimed *peers.ClaimedError
		if !errors.As(err, &claimed) || claimed.Process.PID == os.Getpid() || claimed.Process.Stopped() || time.Now().After(late) {
			return func() {}, true // no names are to be had, or nobody leads who could
		}
		begin() // calls go on meanwhile
		time.Sleep(settleEvery)
		if !d.moved() {
			return nil, false
		}
	}
}

// staysBehind says why the database does not come along to the file at its path; "" if it
// does.
func (d *Database) staysBehind() string {
	switch {
	case d.refusesReplaced():
		return "refuses files that something other than a swap puts there"
	case d.pushing():
		return "is in the midst of a push"
	case !d.moved():
		return "finds no other file at its path"
	case !d.awaitReady():
		return "does not take the new one: " + d.Warning()
	}
	return ""
}

// A file that something else put at the path is not opened while peers have the one open
// that was there before: its log is at the path still, and SQLite would take it for the new
// file's. Whoever has the old one open leaves it with them; whoever has nothing open waits
// for them, but no longer than one of them may take who leads.

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
	for _, c := range peers.Find(ownEndpoint(), silent.has) {
		c.Close()
		if p := c.Process; p.PID != os.Getpid() && openers.Behind(p.PID, path) {
			return fmt.Sprintf("%s has the one open that was there before", Peer{PID: p.PID, Program: printable.Line(p.Command())})
		}
	}
	return ""
}
