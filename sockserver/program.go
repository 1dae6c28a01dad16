package sockserver

import "sync/atomic"

// program is what all Servers and Handlers of the process have in common: the databases are
// the process's, so whichever of them a request comes through, the others show its lines,
// list it while it is in progress, and count it.
type program struct {
	feed    *feed
	running running
	pulls   atomic.Int64 // in progress, and held snapshots
	pushed  lastPushes
	tags    backupTags
}

var theProgram = newProgram()

func newProgram() *program {
	return &program{feed: newFeed(), running: running{commands: make(map[string]*CommandInfo)}}
}
