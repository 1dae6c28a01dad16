package driver

import (
	"sync"
	"time"

	"hotswap/internal/clib"
)

// trimmer gives to the system what resting connections give back, which the C library
// would keep. A trim holds up whoever allocates there, so it is done by the piece.
type trimmer struct {
	mu    sync.Mutex
	freed int64       // since the last trim
	timer *time.Timer // for what is less than a piece; nil while there is nothing
}

const (
	trimPiece = 32 << 20
	trimAfter = time.Second // what is left of a piece
	trimLeast = 1 << 20     // less is not worth it
)

// trim is one for all databases, as is the C library's heap.
var trim trimmer

// give runs free, which frees what connections have. One after the other, as SQLite's
// count is of all.
func (t *trimmer) give(free func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := clib.Used()
	free()
	t.freed += max(before-clib.Used(), 0)
	switch {
	case t.freed >= trimPiece:
		t.trimLocked()
	case t.freed >= trimLeast && t.timer == nil:
		t.timer = time.AfterFunc(trimAfter, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.timer = nil
			if t.freed >= trimLeast {
				t.trimLocked()
			}
		})
	}
}

func (t *trimmer) trimLocked() {
	t.freed = 0
	clib.Trim()
}
