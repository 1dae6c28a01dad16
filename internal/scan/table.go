package scan

import (
	"context"
	"math"
)

// tablePass goes through a table, and makes the entries that its indexes should have.
type tablePass struct {
	walk
	*tablePlan
	fields []field  // of a row, up to the last that any index needs
	ends   []uint64 // where in the record each of them ends
	entry  []field
	record []byte
	number [8]byte // of the rowid
	sums   []sum   // of each index
}

func (t *tablePlan) pass(ctx context.Context, f *File, s *seeds) ([]sum, bool) {
	p := &tablePass{tablePlan: t, fields: make([]field, len(t.columns)), ends: make([]uint64, len(t.columns)), sums: make([]sum, len(t.indexes))}
	for i := range p.sums {
		p.sums[i].seeds = s
	}
	p.walk = walk{File: f, ctx: ctx, visit: p.row}
	return p.sums, p.all(t.root)
}

func (p *tablePass) row(cell []byte) bool {
	length, n := varint(cell)
	if n == 0 {
		return false
	}
	rowid, m := varint64(cell[n:])
	if m == 0 {
		return false
	}
	local, next, ok := p.local(cell[n+m:], length)
	if !ok || !p.read(local, next, length) {
		return false
	}
	id := integerField(rowid, p.format, &p.number)
	for i := range p.indexes {
		entry := p.entry[:0]
		for _, c := range p.indexes[i].columns {
			f := id
			if c != isRowid {
				f = p.fields[c]
			}
			if f.kind == kindReal && math.IsNaN(f.real()) { // which SQLite reads as NULL
				return false
			}
			entry = append(entry, f)
		}
		p.entry = append(entry, id)
		if p.record = appendRecord(p.record[:0], p.entry); p.record == nil {
			return false
		}
		p.sums[i].add(p.record)
	}
	return true
}

// read reads those fields of the record that are needed.
func (p *tablePass) read(local []byte, next uint32, length uint64) bool {
	header, at := varint(local)
	if at == 0 || header < uint64(at) || header > length {
		return false
	}
	local, ok := p.whole(local, next, header)
	if !ok {
		return false
	}
	end, need := header, header
	for c := range p.columns {
		f := &p.fields[c]
		f.kind = kindNull
		if uint64(at) == header { // the column was added later
			if p.columns[c].defaults {
				return false
			}
		} else {
			kind, n := varint(local[at:header])
			size, ok := size(kind)
			if n == 0 || !ok {
				return false
			}
			f.kind = kind
			at += n
			end += size
		}
		if p.ends[c] = end; p.columns[c].needed {
			need = end
		}
	}
	if need > length {
		return false
	}
	if local, ok = p.whole(local, next, need); !ok {
		return false
	}
	from := header
	for c := range p.columns {
		if p.columns[c].needed {
			p.fields[c].body = local[from:p.ends[c]]
		}
		from = p.ends[c]
	}
	return true
}
