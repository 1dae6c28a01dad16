package sockserver

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"hotswap/swapper"
)

// CommandInfo is a push or a pull in progress.
type CommandInfo struct {
	// ID is what the command's lines in the log have.
	ID string `json:"id"`
	// Verb is "push" or "pull".
	Verb string `json:"verb"`
	// Since is when it began.
	Since time.Time `json:"since"`
	// PID, UID and Command are of the client's process; absent where the system does
	// not tell.
	PID     int     `json:"pid,omitempty"`
	UID     *uint32 `json:"uid,omitempty"`
	Command string  `json:"command,omitempty"`
	// Source is what a push sends and Dest where a pull goes, as the client says.
	Source string `json:"source,omitempty"`
	Dest   string `json:"dest,omitempty"`
	// Status is its last status line.
	Status string `json:"status,omitempty"`

	path string
}

// running has the commands in progress by their ids. Two of one id would be
// indistinguishable in the feed.
type running struct {
	sync.Mutex
	commands map[string]*CommandInfo
}

// add returns false if there is one of that id.
func (r *running) add(info CommandInfo) bool {
	r.Lock()
	defer r.Unlock()
	if _, ok := r.commands[info.ID]; ok {
		return false
	}
	r.commands[info.ID] = &info
	return true
}

func (r *running) remove(id string) {
	r.Lock()
	defer r.Unlock()
	delete(r.commands, id)
}

func (r *running) has(id string) bool {
	r.Lock()
	defer r.Unlock()
	return r.commands[id] != nil
}

// on records which database a command is on.
func (r *running) on(id, path string) {
	r.Lock()
	defer r.Unlock()
	if c := r.commands[id]; c != nil {
		c.path = path
	}
}

// at records how far a command is.
func (r *running) at(id string, event swapper.Event) {
	r.Lock()
	defer r.Unlock()
	if c := r.commands[id]; c != nil {
		c.Status = event.Text
	}
}

// of returns the pushes and pulls of a database, oldest first.
func (r *running) of(path string) []CommandInfo {
	r.Lock()
	defer r.Unlock()
	list := []CommandInfo{}
	for _, c := range r.commands {
		if c.path == path && (c.Verb == verbPush || c.Verb == verbPull) {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b CommandInfo) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list
}
