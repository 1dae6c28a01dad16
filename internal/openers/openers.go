// Package openers tells who has a file open: this process, and which others, as far
// as /proc shows them. It opens no file that is not in /proc, since closing a
// descriptor of a database drops the locks that SQLite has on it in this process
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
//
// Only Linux has such a /proc. Elsewhere nobody is seen, and locks, leases and what is
// beside the file must tell.
package openers

import (
	"fmt"
	"os"
	"runtime"

	"hotswap/internal/printable"
	"hotswap/internal/unix"
)

// A Process is another process that has a file open. PID is 0 of one that can't be seen.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (p Process) String() string {
	if p.PID == 0 {
		return "a process of another namespace"
	}
	return fmt.Sprintf("process %d (%s)", p.PID, printable.Line(p.Command))
}

// An Inode names a file as long as it exists.
type Inode struct{ Dev, Ino uint64 }

// InodeOf returns the inode of the file that path leads to, symlinks followed.
func InodeOf(path string) (Inode, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return Inode{}, false
	}
	return InodeIn(info)
}

// InodeIn returns the inode that info is of.
func InodeIn(info os.FileInfo) (Inode, bool) {
	st, ok := info.Sys().(*unix.FileStat)
	if !ok {
		return Inode{}, false
	}
	return Inode{uint64(st.Dev), uint64(st.Ino)}, true
}

// At returns the other processes that have the file at path open, of those that this
// process may look at: its own user's, or all for root. It takes its turn.
func At(path string) []Process {
	file, ok := InodeOf(path)
	if !ok {
		return nil
	}
	return InTurn(func() []Process { return Elsewhere(file) })
}

// Elsewhere returns the other processes that have the file open, as At does, at once.
// A lease sees those, too, that this misses.
func Elsewhere(file Inode) []Process {
	all, _ := Look(file)
	return all
}

// turns has room for those who look through all descriptors, of this process or of
// all, with no gate closed. In a program of thousands of them that takes a while: of
// two hundred pushes that did it at once, on a few processors, those whose callers
// wait would have to wait for all the others at each system call.
var turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))

// InTurn runs look when it is its turn. A caller that keeps others waiting looks at
// once, without this.
func InTurn[T any](look func() T) T {
	turns <- struct{}{}
	defer func() { <-turns }()
	return look()
}
