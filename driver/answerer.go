package driver

import (
	"encoding/json"
	"os"
	"path/filepath"

	"hotswap/internal/peers"
)

// answerer serves the process's endpoint.
type answerer struct{}

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

func (answerer) Serve(c *peers.Conn, first peers.Message) {
	d, release := having(first.File)
	if d == nil {
		c.Send(peers.Message{V: peers.Version, Op: peers.No})
		return
	}
	defer release()
	dir, base, mount := d.whereabouts()
	answer := peers.Message{V: peers.Version, Op: peers.Joined, PID: os.Getpid(), Program: filepath.Base(os.Args[0]),
		Dir: dir, Base: []byte(base), Mount: mount, Connections: d.Stats().Connections}
	why := d.apart(first)
	switch {
	case first.Op == peers.Status:
		answer.Op, answer.Why, answer.Holders = peers.State, why, toWire(d.Holders())
		answer.Stats, _ = json.Marshal(d.Stats())
		c.Send(answer)
	case first.Op != peers.Join:
	case why != "":
		c.Send(peers.Message{V: peers.Version, Op: peers.No, PID: answer.PID, Program: answer.Program, Why: why})
	default:
		if c.Send(answer) == nil || first.InPlace {
			c.SayStill()
			(&guest{d: d, c: c, inPlace: first.InPlace, adopts: first.Adopts, in: make(chan question), interrupt: func() {}}).run()
		}
	}
}

// having returns the managed database of the file, kept managed until release is called.
func having(file peers.Inode) (d *Database, release func()) {
	if file == (peers.Inode{}) {
		return nil, nil
	}
	for _, d := range databases() {
		if !d.alone.Load() && d.currentFile() == file {
			return d, d.kept()
		}
	}
	return nil, nil
}

// apart says why the database can't be part of another process's swap; "" if it can.
func (d *Database) apart(first peers.Message) string {
	switch {
	case !first.InPlace && d.strangers() > 0:
		return "has it open outside of the driver's connections, too"
	case !first.InPlace && len(d.Attachers()) > 0:
		return "has it attached to another database"
	case first.Adopts:
		return d.staysBehind()
	case d.moved():
		return "has the file open that was at its path before"
	case d.refusing():
		return "refuses all calls, since the file was replaced"
	}
	return ""
}
