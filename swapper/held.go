package swapper

import (
	"fmt"
	"sync"

	"hotswap/internal/transfer"
)

// held is a snapshot that is kept beside its database, until it is released or becomes
// the stage of a push.
type held struct {
	live string // the database's path then
	size int64

	mu sync.RWMutex // guards s
	s  *stage       // nil once it is released or taken
}

var _ transfer.Held = (*held)(nil)

func newHeld(s *stage, live string) *held { return &held{live: live, size: s.size, s: s} }

func (h *held) Size() int64 { return h.size }

// Path returns where it is, "" once it is released or taken.
func (h *held) Path() string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.s == nil {
		return ""
	}
	return h.s.path
}

func (h *held) ReadAt(p []byte, off int64) (int, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.s == nil {
		return 0, transfer.ErrNotHeld
	}
	return h.s.file.ReadAt(p, off)
}

func (h *held) Release() {
	if s := h.take(); s != nil {
		s.discard()
	}
}

// take returns the snapshot's file, once.
func (h *held) take() *stage {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.s
	h.s = nil
	return s
}

// stageHeld makes a held snapshot the stage, of a push to the database that it is of.
func (p *push) stageHeld(base transfer.Held) error {
	h, ok := base.(*held)
	if !ok || h.live != p.target.path || !p.target.exists {
		return &failure{cause: transfer.ErrNotHeld, text: fmt.Sprintf("%s is not what the snapshot was taken of", p.target.path)}
	}
	s := h.take()
	if s == nil {
		return &failure{cause: transfer.ErrNotHeld}
	}
	p.stage = s
	if err := s.rename(beside{id: s.id, kind: kindStage}.path(p.target.path)); err != nil {
		return failed("make the snapshot the stage", err)
	}
	return nil
}
