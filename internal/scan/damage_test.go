package scan_test

import (
	"os"
)

// damageRecord changes a byte or two of one of an index's records, as far as it is short.
func (g *generator) damageRecord(page []byte, header bool) bool {
	cells := int(page[3])<<8 | int(page[4])
	at := map[byte]int{0x0a: 8, 0x02: 12}[page[0]]
	if at == 0 || cells == 0 || at+2*cells > len(page) {
		return false
	}
	slot := at + 2*g.IntN(cells)
	at = int(page[slot])<<8 | int(page[slot+1])
	if page[0] == 0x02 {
		at += 4
	}
	if at+1 >= len(page) {
		return false
	}
	record := page[at+1 : min(len(page), at+1+int(page[at]&0x7f))]
	if page[at] >= 0x80 || len(record) < 3 || int(record[0]) > len(record) || record[0] < 2 {
		return false
	}
	head := int(record[0])
	switch {
	case header && g.IntN(3) == 0: // the rowid, which is read from the end
		record[head-1] = byte(1 + g.IntN(6))
		return true
	case header && g.IntN(3) == 0: // NULL, or the two small integers, in other words
		i := 1 + g.IntN(head-1)
		if record[i] != 0 && record[i] != 8 && record[i] != 9 {
			return false
		}
		record[i] = []byte{0, 8, 9, 10, 11, 12, 13}[g.IntN(7)]
		return true
	}
	some := record[:head]
	if !header {
		some = record[head:]
	}
	for range 1 + g.IntN(2) {
		if len(some) == 0 {
			return false
		}
		b := &some[g.IntN(len(some))]
		switch g.IntN(3) {
		case 0:
			*b ^= 1 << g.IntN(8)
		case 1:
			*b = byte(g.IntN(16))
		case 2:
			*b = byte(g.IntN(256))
		}
	}
	return true
}

// damage does something to a page but the first.
func (g *generator) damage(path string, how func(page []byte) bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	size := int(content[16])<<8 | int(content[17])
	for range 200 {
		n := 1 + g.IntN(len(content)/size-1)
		if how(content[n*size : (n+1)*size]) {
			break
		}
	}
	return os.WriteFile(path, content, 0o644)
}
