package driver

import (
	"errors"
	"os"
	"strings"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/openers"
	"hotswap/internal/peers"
)

// A file that something else put at the path is moved to by all processes together: the
// one that notices it first leads, and the others drain and close with it, as for a push
// by rename. Nobody opens the new file before all of these have left the old one. That is
// as much as can be had: nothing keeps the file from those who do not answer, and who
// waited for them would serve a database that is gone. So they are left out, and the log
// names them.

// leadPatience bounds how long another process may take that leads: as long as it may wait
// for what is held, and for who does not answer.
const leadPatience = adoptTimeout + 2*peers.Silence

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

// hasOpen reports whether a peer has the file open, or may have: of one in another
// namespace that can't be told.
func hasOpen(p Peer, file peers.Inode) bool {
	return p.PID == 0 || openers.Has(p.PID, openers.Inode{Dev: file.Dev, Ino: file.Ino})
}

// noteBehind waits for the peers that were led to another file, and logs who was not.
func (f *Frozen) noteBehind(patient time.Time) {
	var behind []string
	for _, p := range f.others.report(f.replaced, f.arrived, patient) {
		if p.Problem != "" {
			behind = append(behind, p.String()+" "+p.Problem)
		}
	}
	// Whether another file is there, not whether the database has moved to it by now: its
	// first call may have to see to that.
	if len(behind) > 0 && inode(fileid.Of(f.db.Path())) != f.others.file {
		lognote.Send(f.db.watch.warn(f.db.Path()).Str("processes", strings.Join(behind, "; ")),
			"the database file was replaced by something other than a swap, and not all processes that have the old one open have left it together with this one: what they write before they do is in the old one only")
	}
}
