package sockserver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hotswap/internal/lognote"
)

// lost reports whether the socket is no longer at its path, nor anything else: somebody, a
// cleaner of temporary files say, has removed it, and no client finds the program any more.
func (l *listener) lost() bool {
	if l.lock == nil {
		return false // taken over: its maker may make it again
	}
	_, err := os.Lstat(l.path)
	return errors.Is(err, fs.ErrNotExist)
}

// again listens at the path of a lost socket, with the same lock, or a new one if the lock
// file was removed as well. A server that was started there in the meantime has that one.
func (l *listener) again() (*listener, error) {
	if err := makeDir(filepath.Dir(l.path), l.open); err != nil {
		return nil, err
	}
	lock := l.lock
	if !lock.named() {
		var err error
		if lock, err = lockSocket(l.path + ".lock"); err != nil {
			return nil, err
		}
	}
	fresh, err := listenLocked(l.path, l.path, l.open, lock)
	if err != nil {
		if lock != l.lock {
			lock.release()
		}
		return nil, err
	}
	fresh.enter = l.enter
	return fresh, nil
}

// retire closes a listener whose place another one has taken.
func (l *listener) retire(by *listener) {
	l.closing.Do(func() {
		l.spare.close()
		l.closeErr = l.UnixListener.Close()
		if by.lock != l.lock {
			l.lock.release()
		}
	})
}

// relisten listens again if the socket was lost. Connections that there are stay.
func (s *socketServer) relisten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || !s.listener.lost() {
		s.lossSaid = false
		return
	}
	log := s.conns.cfg.Logger
	old := s.listener
	fresh, err := old.again()
	if err != nil {
		if !s.lossSaid {
			lognote.Send(log.Error().Err(err).Str(fieldSocket, old.path), "the socket was removed, and can't be made again yet: no client reaches the program there")
		}
		s.lossSaid = true
		return
	}
	s.listener, s.lossSaid = fresh, false
	s.accept(fresh)
	old.retire(fresh)
	lognote.Send(log.Warn().Str(fieldSocket, fresh.path), "the socket was removed, and has been made again")
}
