//go:build linux && amd64

package powerloss

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// disk is a directory on a disk with a cache: what is durable, and the changes
// since, of which a power loss keeps any part.
type disk struct {
	files   map[uint64]*file // by inode; the latest that had the number
	entries map[string]*file // durable
	pending []change         // in the order in which they were made
}

type file struct {
	inode uint64
	data  []byte // durable
}

// leftFile is a file that a crash left.
type leftFile struct {
	inode uint64
	data  []byte
}

// change is a change of a file or of the directory's entries.
type change struct {
	file *file // that is changed; nil for a change of the entries
	// A write of at most one block, or a truncate if data is nil.
	off  int64
	data []byte
	// The entry that goes and the one that comes, "" for none, and their file.
	goes, comes string
	entry       *file
	// The file that an exchange gives the entry that goes; else nil.
	other *file
}

// fate is what a power loss makes of a change.
type fate uint8

const (
	kept   fate = iota
	lost        // without a trace
	hollow      // a write: the file has the length, but not the bytes
)

func (f fate) String() string { return [...]string{"kept", "lost", "hollow"}[f] }

// block is what the system writes to the disk as a whole.
const block = 4096

// newDisk is a disk on which everything in dir is durable.
func newDisk(dir string) (*disk, error) {
	d := &disk{files: map[uint64]*file{}, entries: map[string]*file{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return nil, err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f := &file{st.Ino, data}
		d.files[st.Ino], d.entries[e.Name()] = f, f
	}
	return d, nil
}

// clone copies a disk without pending changes.
func (d *disk) clone() *disk {
	c := &disk{files: map[uint64]*file{}, entries: map[string]*file{}}
	copies := map[*file]*file{}
	for inode, f := range d.files {
		copies[f] = &file{f.inode, bytes.Clone(f.data)}
		c.files[inode] = copies[f]
	}
	for name, f := range d.entries {
		c.entries[name] = copies[f]
	}
	return c
}

// apply makes one event happen.
func (d *disk) apply(e event) error {
	f := d.files[e.inode]
	if f == nil && (e.op == opWrite || e.op == opTruncate || e.op == opSync && e.name != ".") {
		return fmt.Errorf("%s: the recording has no such file", e)
	}
	switch e.op {
	case opCreate:
		f = &file{inode: e.inode}
		d.files[e.inode] = f
		d.pending = append(d.pending, change{comes: e.name, entry: f})
	case opWrite:
		for off, data := e.off, e.data; len(data) > 0; {
			n := min(block-off%block, int64(len(data)))
			d.pending = append(d.pending, change{file: f, off: off, data: data[:n]})
			off, data = off+n, data[n:]
		}
	case opTruncate:
		d.pending = append(d.pending, change{file: f, off: e.size})
	case opSync:
		if e.name == "." {
			f = nil
		}
		d.sync(f)
	case opLink, opRename, opExchange, opUnlink:
		c := change{goes: e.name, comes: e.to, entry: d.now()[e.name]}
		if e.op == opExchange {
			c.other = d.now()[e.to]
		}
		if c.entry == nil || e.op == opExchange && c.other == nil {
			return fmt.Errorf("%s: the recording has no such file", e)
		}
		if e.op == opLink {
			c.goes = ""
		}
		d.pending = append(d.pending, c)
	}
	return nil
}

// now returns the entries as a running program sees them.
func (d *disk) now() map[string]*file {
	entries := maps.Clone(d.entries)
	for _, c := range d.pending {
		c.relink(entries)
	}
	return entries
}

// sync makes the changes of a file durable, those of the entries if f is nil.
func (d *disk) sync(f *file) {
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		switch {
		case c.file != f:
			return false
		case f == nil:
			c.relink(d.entries)
		default:
			f.data = c.rewrite(f.data, kept)
		}
		return true
	})
}

// relink makes a change of entries. One whose file is not where it was, since
// an earlier change was lost, has no effect there.
func (c change) relink(entries map[string]*file) {
	if c.file != nil {
		return
	}
	switch {
	case entries[c.goes] != c.entry:
	case c.other != nil:
		entries[c.goes] = c.other
	default:
		delete(entries, c.goes)
	}
	if c.comes != "" {
		entries[c.comes] = c.entry
	}
}

// rewrite makes a change of a file in its bytes, which the caller owns.
func (c change) rewrite(data []byte, as fate) []byte {
	end := int(c.off) + len(c.data)
	switch {
	case as == lost:
		return data
	case c.data == nil && len(data) > end:
		return data[:end]
	case len(data) < end:
		data = append(data, make([]byte, end-len(data))...)
	}
	if as == kept {
		copy(data[c.off:], c.data)
	}
	return data
}

// crash returns the files that are left if the pending changes have the fates.
func (d *disk) crash(fates []fate) map[string]leftFile {
	entries := maps.Clone(d.entries)
	data := map[*file][]byte{}
	for i, c := range d.pending {
		switch {
		case c.file == nil && fates[i] != lost:
			c.relink(entries)
		case c.file != nil && fates[i] != lost:
			own, ok := data[c.file]
			if !ok {
				own = bytes.Clone(c.file.data)
			}
			data[c.file] = c.rewrite(own, fates[i])
		}
	}
	left := map[string]leftFile{}
	for name, f := range entries {
		own, ok := data[f]
		if !ok {
			own = f.data
		}
		left[name] = leftFile{f.inode, own}
	}
	return left
}
