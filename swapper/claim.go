package swapper

import (
	"errors"
	"fmt"
	"sync"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/peers"
	"hotswap/internal/printable"
)

// inProgress has the databases with a push in progress.
var inProgress = struct {
	sync.Mutex
	sources map[*driver.Database]string
}{sources: map[*driver.Database]string{}}

// claim makes this the database's only push: a second one is refused now, not
// after its upload.
func claim(db *driver.Database, source string) (release func(), err error) {
	inProgress.Lock()
	defer inProgress.Unlock()
	if other, ok := inProgress.sources[db]; ok {
		if other != "" {
			other = " (of " + printable.Line(other) + ")"
		}
		f := &failure{text: "another push" + other + " is in progress", kinds: []error{ErrBusy},
			hint: "wait for it to end and try again; `hotswap status` says whose it is and how far"}
		if since := db.Stats().OnSwap; since > 0 {
			f.text += fmt.Sprintf(": it has swapped, and waits for the program's OnSwap callbacks, which have been running for %s", human(since))
		}
		return nil, f
	}
	inProgress.sources[db] = source
	return func() {
		inProgress.Lock()
		defer inProgress.Unlock()
		delete(inProgress.sources, db)
	}, nil
}

// claimFile makes this the only push of the live file by any process that has it open
// through the driver. Where there are no peers, the kernel's lease and SQLite's locks
// still keep two pushes apart.
func (p *push) claimFile() (release func(), err error) {
	none := func() {}
	if !p.target.exists || !inside.Of(p.db).HasPeers() {
		return none, nil
	}
	release, err = peers.Claim(p.target.id)
	var claimed *peers.ClaimedError
	if errors.As(err, &claimed) {
		return nil, &failure{text: "another push is in progress", cause: err, kinds: []error{ErrBusy}, hint: "wait for it to end and try again; `hotswap status` with that process's socket says whose it is"}
	}
	if err != nil {
		return none, nil
	}
	return release, nil
}
