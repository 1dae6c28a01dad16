package swapper

import (
	"fmt"
	"sync"

	"hotswap/driver"
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
			hint: "wait for it to end and try again"}
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
