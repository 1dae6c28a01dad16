package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
	"hotswap/internal/unix"
)

// Peers are the processes that have a file open through this driver: docs/peers.md has
// the whole story. Each has one endpoint, from its first managed database to its last;
// guest.go answers there for a database, host.go asks others.

// WithPeers says whether a swap of the driver's databases may span the other processes
// that have them open through this driver, as it does by default: those then drain,
// reopen and run their OnSwap callbacks with this one. One pool with WithPeers(false)
// is enough for its database to take no part, neither in its own pushes nor in those of
// others. So is the environment variable HOTSWAP_PEERS=off, for all databases of a
// process.
func WithPeers(on bool) Option {
	return func(d *Driver) { d.alone = !on }
}

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
	if p.PID == 0 {
		return fmt.Sprintf("a process of another namespace (%s)", printable.Line(p.Program))
	}
	return fmt.Sprintf("process %d (%s)", p.PID, printable.Line(p.Program))
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

func peersOff() bool { return os.Getenv("HOTSWAP_PEERS") == "off" }

// listen opens the process's endpoint, if it is not open. Where there can be none, as in
// a sandbox without sockets, the process has no peers.
func (d *Database) listen() {
	if !d.hasPeers() {
		return
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.endpoint == nil && registry.managed > 0 {
		registry.endpoint, _ = peers.Listen(answerer{})
	}
}

// ownEndpoint returns the name of this process's; "" for none.
func ownEndpoint() string {
	registry.Lock()
	defer registry.Unlock()
	if registry.endpoint == nil {
		return ""
	}
	return registry.endpoint.Name()
}

func (d *Database) hasPeers() bool { return !d.alone.Load() && !peersOff() }

func (i insider) HasPeers() bool { return i.hasPeers() }

// Peers asks the other processes that have the database's file open through this driver
// who they are. It waits for answers for two seconds at most.
func (d *Database) Peers() []Peer {
	h := d.invite(peers.Message{Op: peers.Status})
	defer h.leave()
	var all []Peer
	for _, m := range h.members {
		all = append(all, m.Peer)
	}
	return append(all, h.apart...)
}

// inode is what peers know a file by: of the rest of an ID each process may see another
// part.
func inode(id fileid.ID) peers.Inode { return peers.Inode{Dev: id.Dev, Ino: id.Ino} }

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
