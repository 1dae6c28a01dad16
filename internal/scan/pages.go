package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"hotswap/internal/sqlitefile"
)

// File is a database's file, which nobody writes to meanwhile.
type File struct {
	from   io.ReaderAt
	size   int // of a page
	usable int // of it
	pages  uint32
	format uint32 // of the schema: from 4 on, 0 and 1 take no bytes in a record
}

// Open reads the header.
func Open(f io.ReaderAt) (*File, error) {
	head := make([]byte, sqlitefile.HeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	o := &File{from: f, size: int(binary.BigEndian.Uint16(head[16:])), pages: binary.BigEndian.Uint32(head[28:]),
		format: binary.BigEndian.Uint32(head[44:])}
	if o.size == 1 {
		o.size = 65536
	}
	o.usable = o.size - int(head[20])
	if o.size < 512 || o.size&(o.size-1) != 0 || o.usable < 480 {
		return nil, errors.New("scan: not the header of a database")
	}
	return o, nil
}

// read fills buf from page n on, as far as there are pages. They are read, not mapped:
// what is read of a page lies far apart in it, and to have it all copied is quicker than
// to wait for memory so many times.
func (o *File) read(n uint32, buf []byte) bool {
	if n < 2 || n > o.pages {
		return false
	}
	_, err := o.from.ReadAt(buf[:min(int64(len(buf)), int64(o.pages-n+1)*int64(o.size))], int64(n-1)*int64(o.size))
	return err == nil
}

// maxDepth is BTCURSOR_MAX_DEPTH of SQLite's.
const maxDepth = 20

// The types of b-tree pages, but for those within index trees, which differ by 3 from
// the tables' (https://www.sqlite.org/fileformat2.html#b_tree_pages).
const (
	indexBranch = 0x02
	tableBranch = 0x05
	indexLeaf   = 0x0a
	tableLeaf   = 0x0d
)

// walk goes through one tree, in order. What it meets may be anything: quick_check, which
// proves the pages to be trees, may not have come to them yet.
type walk struct {
	*File
	ctx   context.Context
	index bool              // else it is a table
	visit func([]byte) bool // is called for each cell with a record, which goes to its page's end
	left  uint32            // pages that may yet be read of the tree, which has none twice
	ahead [maxDepth]ahead   // the page, those above it, and what was read with each
	spill [2][]byte         // of records that go on on other pages: the last and the one before
	over  []byte            // a page of those
}

// ahead is some pages that follow one another in the file, and most likely in the tree.
type ahead struct {
	first uint32
	bytes []byte
}

const mostAhead = 64 << 10

// all reports whether all of the tree was visited, and visit returned true each time.
// What visit had the time before is still there in the next call, since the page of that
// is the same or one above.
func (w *walk) all(root int64) bool {
	if root < 2 || root > 1<<32-2 {
		return false
	}
	w.left = w.pages
	return w.tree(uint32(root), 1, 0)
}

// page returns one at that depth. So many may follow it there.
func (w *walk) page(n uint32, following int, depth int) []byte {
	a := &w.ahead[depth]
	at := int(n-a.first) * w.size
	if n < a.first || at >= len(a.bytes) {
		size := min(following*w.size, max(mostAhead, w.size))
		if cap(a.bytes) < size {
			a.bytes = make([]byte, size)
		}
		a.first, a.bytes, at = n, a.bytes[:size], 0
		if !w.read(n, a.bytes) {
			a.bytes = nil
			return nil
		}
	}
	return a.bytes[at : at+w.usable]
}

func (w *walk) tree(n uint32, following, depth int) bool {
	if depth >= maxDepth || w.left == 0 || w.ctx.Err() != nil {
		return false
	}
	w.left--
	p := w.page(n, following, depth)
	if p == nil {
		return false
	}
	branch, leaf := byte(tableBranch), byte(tableLeaf)
	if w.index {
		branch, leaf = indexBranch, indexLeaf
	}
	cells := int(binary.BigEndian.Uint16(p[3:]))
	switch p[0] {
	case leaf:
		return w.leaf(p, cells)
	case branch:
		return w.branch(p, cells, depth)
	}
	return false
}

func (w *walk) leaf(p []byte, cells int) bool {
	if 8+2*cells > len(p) {
		return false
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(p[8+2*i:]))
		if at >= len(p) || !w.visit(p[at:]) {
			return false
		}
	}
	return true
}

func (w *walk) branch(p []byte, cells, depth int) bool {
	if 12+2*cells > len(p) {
		return false
	}
	child := func(i int) (n uint32, cell []byte) {
		if i == cells {
			return binary.BigEndian.Uint32(p[8:]), nil
		}
		if at := int(binary.BigEndian.Uint16(p[12+2*i:])); at+4 < len(p) {
			return binary.BigEndian.Uint32(p[at:]), p[at+4:]
		}
		return 0, nil
	}
	following := 0
	for i := range cells + 1 {
		n, cell := child(i)
		if following == 0 {
			for following = 1; i+following <= cells && following*w.size < mostAhead; following++ {
				if next, _ := child(i + following); next != n+uint32(following) {
					break
				}
			}
		}
		if !w.tree(n, following, depth+1) {
			return false
		}
		following--
		if i < cells && w.index && !w.visit(cell) {
			return false
		}
	}
	return true
}

// local returns what of a record of that length is in its cell, and the number of the
// page on which it goes on, if it does.
func (w *walk) local(cell []byte, length uint64) (local []byte, next uint32, ok bool) {
	most, least := w.usable-35, (w.usable-12)*32/255-23
	if w.index {
		most = (w.usable-12)*64/255 - 23
	}
	if length <= uint64(most) {
		if length > uint64(len(cell)) {
			return nil, 0, false
		}
		return cell[:length], 0, true
	}
	n := least + int((length-uint64(least))%uint64(w.usable-4))
	if n > most {
		n = least
	}
	if n+4 > len(cell) {
		return nil, 0, false
	}
	return cell[:n], binary.BigEndian.Uint32(cell[n:]), true
}

// mostSpilled is the length up to which records, or what of them is needed, are put
// together from several pages.
const mostSpilled = 1 << 20

// whole returns the first n bytes of the record that begins with local. It is good until
// the next but one is asked for.
func (w *walk) whole(local []byte, next uint32, n uint64) ([]byte, bool) {
	if n <= uint64(len(local)) {
		return local, true
	}
	if n > mostSpilled {
		return nil, false
	}
	if w.over == nil {
		w.over = make([]byte, w.size)
	}
	record := append(w.spill[1][:0], local...)
	for uint64(len(record)) < n {
		if w.left == 0 || !w.read(next, w.over) {
			return nil, false
		}
		w.left--
		next = binary.BigEndian.Uint32(w.over)
		record = append(record, w.over[4:w.usable]...)
	}
	w.spill[0], w.spill[1] = record, w.spill[0]
	return record[:n], true
}
