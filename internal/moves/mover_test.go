package moves

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// servedWithin is how long a whole file may be at the path without being served.
const servedWithin = 15 * time.Second

// step does one move.
func (w *world) step(s step) {
	from := time.Now().UnixNano()
	stamp := ""
	switch s.move {
	case moveOver:
		stamp = w.newVersion(s)
		w.over(stateWhole, stamp, string(s.move))
	case moveUnlink:
		stamp = w.newVersion(s)
		w.unlink(stamp)
	case moveGap:
		stamp = w.newVersion(s)
		w.away()
		time.Sleep(s.pause)
		w.over(stateWhole, stamp, string(s.move))
	case moveRewrite:
		stamp = w.newVersion(s)
		w.rewrite(s, stamp)
	case moveBroken:
		w.newVersion(s)
		b, err := breakFile(w.next(), s.broken)
		w.must(err)
		text := "mv " + s.broken + " live"
		w.noteBroken(w.next(), text, b)
		w.over(stateBroken, "", text)
	case moveBack:
		w.back(s)
	case moveIdle:
		stamp = w.newVersion(s)
		if !w.say("pause") {
			return
		}
		w.over(stateWhole, stamp, string(s.move))
		if s.held {
			w.say("hold")
		}
		w.say("resume")
	case moveReopen:
		stamp = w.newVersion(s)
		if !w.say("close") {
			return
		}
		w.over(stateWhole, stamp, string(s.move))
		w.say("open")
		w.h.Closed = append(w.h.Closed, put{From: from, Until: time.Now().UnixNano()})
	case moveTurn:
		stamp = newStamp("t", w.nextMade(), s.rows)
		w.turnTo(s, stamp)
	}
	if !s.await || stamp == "" {
		time.Sleep(s.gap)
		return
	}
	if !w.await(stamp, from) {
		if *dump {
			w.child.Process.Signal(syscall.SIGQUIT)
		}
		w.h.Stuck = append(w.h.Stuck, fmt.Sprintf("%s: %s was not served within %v", s.move, stamp, servedWithin))
	}
}

// await waits until the version is served, or one that a push has put there
// since.
func (w *world) await(stamp string, since int64) bool {
	deadline := time.After(servedWithin)
	for {
		served, more := w.served(stamp, since)
		if served || !w.alive() {
			return true
		}
		select {
		case <-more:
		case <-time.After(50 * time.Millisecond): // to see whether it lives
		case <-deadline:
			return false
		}
	}
}

// say has the program obey a word, and waits until it has.
func (w *world) say(word string) bool {
	if _, err := fmt.Fprintln(w.child.In, word); err != nil {
		return false
	}
	return w.child.Out.Scan()
}

func (w *world) nextMade() int {
	w.moved++
	return w.moved
}

// next is where the next file is made.
func (w *world) next() string { return filepath.Join(w.dir, "new", liveName) }

// newVersion makes a new version's file, and returns its stamp.
func (w *world) newVersion(s step) string {
	stamp := newStamp("m", w.nextMade(), s.rows)
	w.must(makeVersion(w.next(), stamp, s.journal))
	return stamp
}

// real is the file that the path leads to.
func (w *world) real() string {
	if w.plan.layout == layoutPlain {
		return w.path
	}
	release, err := os.Readlink(filepath.Join(w.dir, "current"))
	w.must(err)
	return filepath.Join(w.dir, release, liveName)
}

// keptName is a name for a file that leaves the path.
func (w *world) keptName(why string) string {
	w.keptMu.Lock()
	defer w.keptMu.Unlock()
	w.kept++
	return filepath.Join(w.dir, "kept", fmt.Sprintf("%03d-%s.db", w.kept, why))
}

// over moves the next file over the live one, which it keeps: both names change
// in one moment, so that what is kept is what was replaced.
func (w *world) over(s state, stamp, text string) {
	p := put{State: s, Stamp: stamp, Text: text, From: time.Now().UnixNano()}
	err := unix.Renameat2(unix.AT_FDCWD, w.next(), unix.AT_FDCWD, w.real(), unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		p.Until = time.Now().UnixNano()
		w.must(os.Rename(w.next(), w.keptName("replaced")))
	case errors.Is(err, fs.ErrNotExist): // there is none
		w.must(os.Rename(w.next(), w.real()))
		p.Until = time.Now().UnixNano()
	default:
		w.t.Fatal(err)
	}
	w.addPut(p)
}

// unlink moves the next file over the live one as mv does: the old one's name is
// gone. To keep it, it gets another one before, which would keep a push from its
// work: none runs meanwhile.
func (w *world) unlink(stamp string) {
	w.pushMu.Lock()
	defer w.pushMu.Unlock()
	if err := os.Link(w.real(), w.keptName("unlinked")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	p := put{State: stateWhole, Stamp: stamp, Text: string(moveUnlink), From: time.Now().UnixNano()}
	w.must(os.Rename(w.next(), w.real()))
	p.Until = time.Now().UnixNano()
	w.addPut(p)
}

// away moves the live file away, and keeps it.
func (w *world) away() string {
	p := put{State: stateAbsent, From: time.Now().UnixNano()}
	kept := w.keptName("away")
	if err := os.Rename(w.real(), kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	p.Until = time.Now().UnixNano()
	w.addPut(p)
	return kept
}

// rewrite removes the live file and writes another one in its place, a piece at a
// time. A push may put a file there in between, if it finds none.
func (w *world) rewrite(s step, stamp string) {
	content, err := os.ReadFile(w.next())
	w.must(err)
	w.away()
	time.Sleep(s.pause / 8)
	p := put{State: stateBroken, Text: string(s.move), From: time.Now().UnixNano()}
	live, err := os.OpenFile(w.real(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		w.over(stateWhole, stamp, string(moveOver))
		return
	}
	w.must(err)
	p.Until = time.Now().UnixNano()
	w.addPut(p)
	time.Sleep(s.pause)
	pieces := 1 + s.rows%5
	for i := range pieces {
		piece := content[i*len(content)/pieces : (i+1)*len(content)/pieces]
		_, err := live.Write(piece)
		w.must(err)
		if i < pieces-1 {
			time.Sleep(s.pause / 4)
		}
	}
	p = put{State: stateWhole, Stamp: stamp, Text: string(s.move), From: time.Now().UnixNano()}
	w.must(live.Close())
	p.Until = time.Now().UnixNano()
	w.addPut(p)
	w.must(os.Remove(w.next()))
}

// back moves the live file away for a moment.
func (w *world) back(s step) {
	was := w.lastPut().State
	kept := w.away()
	time.Sleep(s.pause)
	p := put{State: was, Text: string(s.move), From: time.Now().UnixNano()}
	err := unix.Renameat2(unix.AT_FDCWD, kept, unix.AT_FDCWD, w.real(), unix.RENAME_NOREPLACE)
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	p.Until = time.Now().UnixNano()
	w.addPut(p)
}

// turnTo has the symlink lead to a new release. The old one stays, or is removed
// as Kubernetes does it.
func (w *world) turnTo(s step, stamp string) {
	release := w.release(stamp, s.journal)
	old := filepath.Dir(w.real())
	p := put{State: stateWhole, Stamp: stamp, Text: string(s.move), From: time.Now().UnixNano()}
	w.turn(release)
	p.Until = time.Now().UnixNano()
	w.addPut(p)
	if !s.remove {
		return
	}
	w.pushMu.Lock()
	defer w.pushMu.Unlock()
	w.harvest()
	if err := os.Link(filepath.Join(old, liveName), w.keptName("removed")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	w.must(os.RemoveAll(old))
}

// noteBroken remembers a file that is not whole, by its inode.
func (w *world) noteBroken(path, text string, content []byte) {
	ino, err := inode(path)
	w.must(err)
	w.brokenFiles = append(w.brokenFiles, brokenFile{text, content, ino})
}

// brokenAt returns the broken file that this one is, if it is one.
func (w *world) brokenAt(path string) *brokenFile {
	ino, err := inode(path)
	w.must(err)
	for i := range w.brokenFiles {
		if w.brokenFiles[i].ino == ino {
			return &w.brokenFiles[i]
		}
	}
	return nil
}

func inode(path string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

func sidecar(name string) bool {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
