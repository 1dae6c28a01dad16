package door

import (
	"context"
	"sync"

	"hotswap/internal/fileid"
)

// Guard applies the rule to a path, which must be a resolved real one, until release is
// called. Guards are counted.
func Guard(path string) (release func()) {
	now := fileid.Of(path)
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.atLocked(path)
	if p.guards++; p.guards == 1 {
		all.findUnseenLocked(p, now)
	}
	return sync.OnceFunc(func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if p.guards--; p.guards == 0 {
			p.expect = fileid.None
		}
		all.dropLocked(path, p)
	})
}

// Expect says which file is to be the next at a guarded path, while none is open there,
// for all who open within As; None for any. Opening another one, or none, is refused.
// It ends with the guard.
func Expect(path string, file fileid.ID) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if p := all.paths[path]; p != nil && p.guards > 0 {
		p.expect = file
	}
}

// Shut makes everybody in the process who would open the path wait until open is
// called. It returns once no earlier open is still in progress, or with the error of
// ctx, and then nothing is shut. Only one caller at a time can shut a path: a second
// one waits.
func Shut(ctx context.Context, path string) (open func(), err error) {
	for {
		all.mu.Lock()
		p := all.atLocked(path)
		if other := p.shut; other != nil {
			all.mu.Unlock()
			select {
			case <-other:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		shut := make(chan struct{})
		p.shut = shut
		var settled chan struct{}
		if p.opening > 0 {
			if p.settled == nil {
				p.settled = make(chan struct{})
			}
			settled = p.settled
		}
		all.mu.Unlock()
		open = sync.OnceFunc(func() {
			all.mu.Lock()
			defer all.mu.Unlock()
			p.shut = nil
			close(shut)
			all.dropLocked(path, p)
		})
		if settled != nil {
			select {
			case <-settled:
			case <-ctx.Done():
				open()
				return nil, ctx.Err()
			}
		}
		return open, nil
	}
}
