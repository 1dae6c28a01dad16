package scan

import (
	"context"
	"encoding/binary"
	"io"

	"hotswap/internal/sqlitefile"
)

// records reads what an index has on its pages, where a query does not show it. A query
// takes a record's fields one by one, the rowid from its end, and forgives: a NULL
// under a reserved type, a number written longer than need be, a field that is missing
// or one too many. The search by which SQLite finds an entry compares the bytes, and
// does not. So each record must be as SQLite writes it; then both see the same.
//
// It relies on quick_check having proved the pages to be trees. It reads what its
// caller has locked, or nobody else has.
type records struct {
	file   io.ReaderAt
	size   int    // of a page
	usable int    // of it
	all    uint32 // pages
	left   uint32 // that may yet be read of a tree, which has none twice
	pages  [maxDepth][]byte
}

// maxDepth is BTCURSOR_MAX_DEPTH of SQLite's.
const maxDepth = 20

// newRecords returns nil if the file's header can't be read.
func newRecords(file io.ReaderAt) *records {
	head := make([]byte, sqlitefile.HeaderSize)
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil
	}
	r := &records{file: file, size: int(binary.BigEndian.Uint16(head[16:])), all: binary.BigEndian.Uint32(head[28:])}
	if r.size == 1 {
		r.size = 65536
	}
	r.usable = r.size - int(head[20])
	if r.size < 512 || r.size&(r.size-1) != 0 || r.usable < 480 {
		return nil
	}
	return r
}

// layout is that of an index's records.
type layout struct {
	root    int64
	fields  int    // with the rowid
	asRowid []bool // of each field but the rowid: whether it must be as that is
	reals   []bool // of each: whether an integer that it has is read as a float
}

// plain reports whether each of the index's records is as SQLite writes it, as far as
// can be told from the record's part on its page: what it has on overflow pages is not
// read. False also means that a page could not be read, or ctx ended.
func (r *records) plain(ctx context.Context, l *layout) bool {
	if l.root < 2 || l.root > 1<<32-2 {
		return false
	}
	r.left = r.all
	return r.tree(ctx, l, uint32(l.root), 0)
}

func (r *records) tree(ctx context.Context, l *layout, page uint32, depth int) bool {
	if page < 2 || depth >= maxDepth || r.left == 0 || ctx.Err() != nil {
		return false
	}
	r.left--
	if r.pages[depth] == nil {
		r.pages[depth] = make([]byte, r.size)
	}
	p := r.pages[depth]
	if _, err := r.file.ReadAt(p, int64(page-1)*int64(r.size)); err != nil {
		return false
	}
	head, child := 8, 0
	switch p[0] {
	case 0x0a: // leaf
	case 0x02:
		head, child = 12, 4
	default:
		return false
	}
	cells := int(binary.BigEndian.Uint16(p[3:]))
	if head+2*cells > r.usable {
		return false
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(p[head+2*i:]))
		if at < head+2*cells || at+child >= r.usable || !r.cell(l, p[at+child:r.usable]) {
			return false
		}
		if child > 0 && !r.tree(ctx, l, binary.BigEndian.Uint32(p[at:]), depth+1) {
			return false
		}
	}
	return child == 0 || r.tree(ctx, l, binary.BigEndian.Uint32(p[8:]), depth+1)
}

// cell looks at the record that begins, after its length, where cell does.
func (r *records) cell(l *layout, cell []byte) bool {
	length, n := varint(cell)
	if n == 0 || length > 1<<31-1 {
		return false
	}
	local := int(length)
	most, least := (r.usable-12)*64/255-23, (r.usable-12)*32/255-23
	if local > most { // the rest is on overflow pages
		local = least + (local-least)%(r.usable-4)
		if local > most {
			local = least
		}
	}
	return n+local <= len(cell) && l.fits(cell[n:n+local], length)
}

// fits reports whether a record of that length, which begins with local, is as it
// should be (https://www.sqlite.org/fileformat2.html#record_format): each number is
// written in the shortest way, each type is one that SQLite writes, there are as many
// fields as in the index, and those end where the record does.
func (l *layout) fits(local []byte, length uint64) bool {
	header, at := varint(local)
	if at == 0 || header > uint64(len(local)) {
		return false
	}
	var others [mostColumns]int64 // that must be as the rowid
	n := 0
	body := header
	for field := range l.fields {
		kind, size := varint(local[at:header])
		if size == 0 || kind == 10 || kind == 11 {
			return false
		}
		at += size
		end := body + sizeOf(kind)
		if field == l.fields-1 {
			if kind == 0 || kind == 7 || kind > 9 || end != length || at != int(header) {
				return false
			}
			if n == 0 {
				return true
			}
		}
		if field == l.fields-1 || l.asRowid[field] {
			value, ok := integer(kind, local, body, end)
			if !ok {
				return false
			}
			if field < l.fields-1 {
				others[n] = value
				n++
			}
			for i := 0; field == l.fields-1 && i < n; i++ {
				if others[i] != value {
					return false
				}
			}
		}
		body = end
	}
	return true
}

// sizeOf is that of a value of the type.
func sizeOf(kind uint64) uint64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [...]uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]
}

// integer is one of a record's, if it is one and on the page.
func integer(kind uint64, local []byte, from, to uint64) (value int64, ok bool) {
	if kind == 8 || kind == 9 {
		return int64(kind) - 8, true
	}
	if kind < 1 || kind > 6 || to > uint64(len(local)) {
		return 0, false
	}
	value = int64(int8(local[from]))
	for _, b := range local[from+1 : to] {
		value = value<<8 | int64(b)
	}
	return value, true
}

// varint reads a number of 32 bits, and how many bytes it takes; 0 if it has more, or is
// not written in the shortest way.
func varint(b []byte) (value uint64, n int) {
	for n < len(b) && n < 5 {
		value = value<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			if (n > 1 && b[0] == 0x80) || value > 1<<32-1 {
				return 0, 0
			}
			return value, n
		}
	}
	return 0, 0
}
