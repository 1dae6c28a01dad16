package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/openers"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
	"hotswap/internal/unix"
)

// Peers are the processes that have a file open through this driver: docs/peers.md has
// the whole story. Each has one endpoint, from its first managed database to its last;
// guest.go answers there for a database, host.go asks others.

// Peer is another process that has a database's file open through this driver.
type Peer struct {
	PID     int    `json:"pid"` // 0 if it has none in this process's namespace
	Program string `json:"program"`
	// Connections is how many connections it has or, after a swap, has closed.
	Connections int `json:"connections"`
	// Pause and Generation are its own, of the swap.
	Pause      time.Duration `json:"pause_ns,omitempty"`
	Generation uint64        `json:"generation,omitempty"`
	// Stats and Holders are its own, and set only by Database.Peers: what it counts, and
	// what a swap would wait for there.
	Stats   *Stats   `json:"stats,omitempty"`
	Holders []Holder `json:"holders,omitempty"`
	// Problem says why it takes no part in swaps, or what went wrong with it in this
	// one; "" if all is well.
	Problem string `json:"problem,omitempty"`
}

func (p Peer) String() string {
	return process(p.PID, p.Program)
}

// PeerError is returned by Freeze when a peer that takes part in it does not answer any
// more, or can't continue. The database continues as before.
type PeerError struct {
	Path string
	Peer Peer // and its Problem

	busy bool
}

func (e *PeerError) Error() string {
	return fmt.Sprintf("%s has %s open and %s", e.Peer, printable.Line(e.Path), printable.Line(e.Peer.Problem))
}

// Unwrap returns ErrFreezing if the peer is in another freeze, or its OnSwap callbacks
// run.
func (e *PeerError) Unwrap() error {
	if e.busy {
		return ErrFreezing
	}
	return nil
}

// inode is what peers know a file by: of the rest of an ID each process may see another
// part.
func inode(id fileid.ID) peers.Inode { return peers.Inode{Dev: id.Dev, Ino: id.Ino} }

// hasOpen reports whether a peer has the file open, or may have: of one in another
// namespace that can't be told.
func hasOpen(p Peer, file peers.Inode) bool {
	return p.PID == 0 || openers.Has(p.PID, openers.Inode{Dev: file.Dev, Ino: file.Ino})
}

// lapsePatience is how long a drained database waits, beyond the window, for what is to
// become of it.
const lapsePatience = peers.Silence / 4

// toWire and fromWire turn what is held into what messages say of it, and back.
func toWire(all []Holder) (out []peers.Holder) {
	for _, h := range all {
		out = append(out, peers.Holder{Kind: string(h.Kind), Query: h.Query, For: h.For, Tx: h.tx})
	}
	return out
}

func fromWire(all []peers.Holder, of Peer) []Holder {
	out := []Holder{}
	for _, o := range all {
		out = append(out, Holder{Kind: HoldKind(o.Kind), Query: o.Query, For: o.For, tx: o.Tx, PID: of.PID, Program: of.Program})
	}
	if len(out) == 0 { // ended as it was looked at
		out = append(out, Holder{Kind: HoldCall, PID: of.PID, Program: of.Program})
	}
	return out
}

func peersOff() bool { return os.Getenv("HOTSWAP_PEERS") == "off" }

func (d *Database) hasPeers() bool { return !d.alone.Load() && !peersOff() }

func (i insider) HasPeers() bool { return i.hasPeers() }

// currentFile returns the file that the database has open, last had, or would open next.
func (d *Database) currentFile() peers.Inode {
	path := d.Path()
	if file := door.File(path); file != fileid.None {
		return inode(file)
	}
	if file := d.watch.known().last(); file != fileid.None {
		return inode(file)
	}
	return inode(fileid.Of(path))
}

// whereabouts says by which directory and name the database's file is reached, and
// whether the file is mounted there by itself: then a rename would not replace it.
func (d *Database) whereabouts() (dir peers.Inode, base string, mount bool) {
	path := d.Path()
	return inode(fileid.Of(filepath.Dir(path))), filepath.Base(path), unix.IsMountPoint(path)
}
