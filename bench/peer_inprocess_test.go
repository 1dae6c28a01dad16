package bench

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// callers makes workers on pools.
func callers(p pools, k kind) (func(int) (seen, error), func()) {
	w := &worker{kind: k, pools: p}
	return w.call, w.close
}

// hotswapped is a program on our driver.
type hotswapped struct {
	*plain
	live *driver.Database
}

func startHotswap(path string) (peer, error) {
	p, err := openPlain(driver.Name, path)
	if err != nil {
		return nil, err
	}
	live, ok := driver.Lookup(path)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is not managed", path), p.db.Close())
	}
	return &hotswapped{p, live}, nil
}

func (h *hotswapped) caller(k kind) (func(int) (seen, error), func()) { return callers(h, k) }

// swap leaves the integrity check out, for none of the other ways has one.
func (h *hotswapped) swap(image string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = swapper.Push(ctx, h.live, f, swapper.PushOptions{SkipIntegrityCheck: true})
	return err
}

func (h *hotswapped) close() error { return h.db.Close() }

// locked is a program whose every use of its pool is under a read lock, and
// that swaps under the write lock: by closing, renaming and opening.
type locked struct {
	plain
	mu sync.RWMutex // guards db
}

func startLocked(path string) (peer, error) {
	p, err := openPlain("sqlite3", path)
	if err != nil {
		return nil, err
	}
	return &locked{plain: *p}, nil
}

func (l *locked) caller(k kind) (func(int) (seen, error), func()) { return callers(l, k) }

// use waits within another use for as long as deadlockAfter: a writer that
// waits for the outer read lock keeps the inner one out, for ever. TryRLock
// fails in just the cases in which RLock would wait.
func (l *locked) use(within bool) (*sql.DB, func(), error) {
	if !within {
		l.mu.RLock()
		return l.db, l.mu.RUnlock, nil
	}
	for deadline := time.Now().Add(deadlockAfter); !l.mu.TryRLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, nil, errors.New("deadlock: a read lock within a read lock")
		}
	}
	return l.db, l.mu.RUnlock, nil
}

// swap does it as well as it can be done: the sidecars go too, or the new file
// would be opened with the old one's write-ahead log.
func (l *locked) swap(image string) error {
	stage := l.path + ".new"
	if err := copyFile(image, stage); err != nil {
		return err
	}
	// Straight after the copy's long system calls the scheduler has let every
	// other goroutine finish what it was at; a real request comes at any time.
	time.Sleep(rand.N(4 * pace))
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.db.Close()
	os.Remove(l.path + "-wal")
	os.Remove(l.path + "-shm")
	err = errors.Join(err, os.Rename(stage, l.path))
	db, openErr := l.open()
	if openErr == nil {
		l.db = db
	}
	return errors.Join(err, openErr)
}

func (l *locked) close() error { return l.db.Close() }

// overwritten is a program into whose live file SQLite's backup API writes.
type overwritten struct{ *plain }

func startBackup(path string) (peer, error) {
	p, err := openPlain("sqlite3", path)
	return &overwritten{p}, err
}

func (o *overwritten) caller(k kind) (func(int) (seen, error), func()) { return callers(o, k) }

func (o *overwritten) swap(image string) (err error) {
	var drv sqlite3.SQLiteDriver
	src, err := drv.Open("file:" + image + "?mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := drv.Open("file:" + o.path + "?_sync=OFF")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	backup, err := dst.(*sqlite3.SQLiteConn).Backup("main", src.(*sqlite3.SQLiteConn), "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backup.Close()) }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		// Not done and no error: the file was locked.
		if done, err := backup.Step(-1); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the live file stayed locked")
		}
	}
}

func (o *overwritten) close() error { return o.db.Close() }
