package scan

import (
	"bytes"
	"cmp"
	"context"
)

// indexPass goes through an index, and sees that it is in order.
type indexPass struct {
	walk
	*indexPlan
	sum    sum
	before record // the one before, of which the first field was read,
	first  field  // which this is
}

func (x *indexPlan) pass(ctx context.Context, f *File, s *seeds) (sum, bool) {
	p := &indexPass{indexPlan: x, sum: sum{seeds: s}}
	p.walk = walk{File: f, ctx: ctx, index: true, visit: p.entry}
	return p.sum, p.all(x.root)
}

// entry takes what is no record of the index, if it happens to be in order, for one: the
// sums differ then.
func (p *indexPass) entry(cell []byte) bool {
	length, n := varint(cell)
	if n == 0 {
		return false
	}
	local, next, ok := p.local(cell[n:], length)
	if !ok {
		return false
	}
	bytes, ok := p.whole(local, next, length)
	if !ok {
		return false
	}
	now, ok := newRecord(bytes)
	if !ok {
		return false
	}
	first, ok := now.next()
	if !ok || p.sum.n > 0 && !p.follows(p.before, p.first, now, first) {
		return false
	}
	p.sum.add(bytes)
	p.before, p.first = now, first
	return true
}

// follows reports whether b comes after a in the index. Their first fields are fa and fb.
func (x *indexPlan) follows(a record, fa field, b record, fb field) bool {
	nulls := false
	for _, how := range x.key {
		c := compare(fa, fb, how&collations)
		if how&desc != 0 {
			c = -c
		}
		if c != 0 {
			return c < 0
		}
		nulls = nulls || fa.kind == kindNull
		var ok, too bool
		fa, ok = a.next()
		if fb, too = b.next(); !ok || !too {
			return false
		}
	}
	return (nulls || !x.unique) && compare(fa, fb, 0) < 0
}

// record is one that is read field by field.
type record struct {
	bytes             []byte
	at, header, start uint64
}

func newRecord(b []byte) (r record, ok bool) {
	header, n := varint(b)
	if n == 0 || header < uint64(n) || header > uint64(len(b)) {
		return r, false
	}
	return record{bytes: b, at: uint64(n), header: header, start: header}, true
}

func (r *record) next() (f field, ok bool) {
	kind, n := varint(r.bytes[r.at:r.header])
	size, ok := size(kind)
	end := r.start + size
	if n == 0 || !ok || end > uint64(len(r.bytes)) {
		return f, false
	}
	f = field{kind: kind, body: r.bytes[r.start:end]}
	r.at += uint64(n)
	r.start = end
	return f, true
}

// rank is the order of values of different types.
func rank(kind uint64) int {
	switch {
	case kind == kindNull:
		return 0
	case kind < kindBlob:
		return 1
	case kind%2 == kindText%2:
		return 2
	}
	return 3
}

func compare(a, b field, collation byte) int {
	if a.kind >= kindText && b.kind >= kindText && a.kind&b.kind&1 == 1 && collation == 0 {
		return bytes.Compare(a.body, b.body)
	}
	of := rank(a.kind)
	if c := of - rank(b.kind); c != 0 || of == 0 {
		return c
	}
	if of > 1 {
		if of == 2 && collation == noCase {
			return compareNoCase(a.body, b.body)
		}
		if of == 2 && collation == rTrim {
			return bytes.Compare(bytes.TrimRight(a.body, " "), bytes.TrimRight(b.body, " "))
		}
		return bytes.Compare(a.body, b.body)
	}
	i, isInt := a.integer()
	j, isInt2 := b.integer()
	switch {
	case isInt && isInt2:
		return cmp.Compare(i, j)
	case isInt:
		return compareIntReal(i, b.real())
	case isInt2:
		return -compareIntReal(j, a.real())
	}
	return cmp.Compare(a.real(), b.real())
}

// compareIntReal does as sqlite3IntFloatCompare.
func compareIntReal(i int64, r float64) int {
	switch {
	case r < -1<<63:
		return 1
	case r >= 1<<63:
		return -1
	}
	if c := cmp.Compare(i, int64(r)); c != 0 {
		return c
	}
	return cmp.Compare(float64(i), r)
}

// compareNoCase does as nocaseCollatingFunc, which ends at a NUL.
func compareNoCase(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if c := int(lower(a[i])) - int(lower(b[i])); c != 0 {
			return c
		}
		if a[i] == 0 {
			break
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
