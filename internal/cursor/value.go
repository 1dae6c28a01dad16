package cursor

// #include "cursor.h"
import "C"

import (
	"database/sql/driver"
	"math"
	"strings"
	"time"
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// SQLite's types (https://www.sqlite.org/c3ref/c_blob.html).
const (
	integer = 1
	float   = 2
	text    = 3
	blob    = 4
	null    = 5
)

// Value returns the i-th column of the current row as go-sqlite3 does, for a column of
// that declared type, in lower case, and times in that location, if it is not nil.
func (c *Cursor) Value(i int, declared string, loc *time.Location) driver.Value {
	cell := c.cell(i)
	switch cell._type {
	case integer:
		n := *(*int64)(unsafe.Pointer(&cell.v))
		switch declared {
		case "timestamp", "datetime", "date":
			return in(loc, ofUnix(n))
		case "boolean":
			return n > 0
		}
		return n
	case float:
		return math.Float64frombits(*(*uint64)(unsafe.Pointer(&cell.v)))
	case text:
		s := c.view(cell)
		switch declared {
		case "timestamp", "datetime", "date":
			return in(loc, ParseTime(s))
		}
		return strings.Clone(s)
	case blob:
		return []byte(c.view(cell))
	}
	return nil
}

// view is the bytes of a text or a blob themselves, good until the next fetch.
func (c *Cursor) view(cell *C.struct_hotswap_cell) string {
	if cell.n == 0 {
		return ""
	}
	if c.Direct() {
		return unsafe.String(*(**byte)(unsafe.Pointer(&cell.v)), cell.n)
	}
	return unsafe.String((*byte)(unsafe.Add(c.row, *(*int64)(unsafe.Pointer(&cell.v)))), cell.n)
}

// ofUnix takes what has 13 digits and more for milliseconds.
func ofUnix(n int64) time.Time {
	if n > 1e12 || n < -1e12 {
		return time.Unix(0, n*int64(time.Millisecond)).UTC()
	}
	return time.Unix(n, 0).UTC()
}

func in(loc *time.Location, t time.Time) time.Time {
	if loc != nil {
		return t.In(loc)
	}
	return t
}

// ParseTime reads a time as go-sqlite3 does: by the first of its formats that fits, or as
// the zero time. The two that SQLite and go-sqlite3 write are read at once, if those are
// still among the formats.
func ParseTime(s string) time.Time {
	s = strings.TrimSuffix(s, "Z")
	if t, ok := parseUsual(s); ok && usual() {
		return t
	}
	for _, format := range sqlite3.SQLiteTimestampFormats {
		if t, err := time.ParseInLocation(format, s, time.UTC); err == nil {
			return t
		}
	}
	return time.Time{}
}

// usual reports whether nobody has changed the formats that parseUsual stands for, and
// those that are tried before them.
func usual() bool {
	f := sqlite3.SQLiteTimestampFormats
	return len(f) > 2 && f[0] == "2006-01-02 15:04:05.999999999-07:00" && f[1] == "2006-01-02T15:04:05.999999999-07:00" &&
		f[2] == "2006-01-02 15:04:05.999999999"
}

// parseUsual reads 2006-01-02 15:04:05, with a fraction of up to nine digits or none,
// and with +00:00 or none.
func parseUsual(s string) (time.Time, bool) {
	s = strings.TrimSuffix(s, "+00:00")
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	nanos := 0
	if len(s) > 19 {
		digits := s[20:]
		if s[19] != '.' || len(digits) == 0 || len(digits) > 9 {
			return time.Time{}, false
		}
		var ok bool
		if nanos, ok = number(digits); !ok {
			return time.Time{}, false
		}
		for range 9 - len(digits) {
			nanos *= 10
		}
	}
	century, ok1 := number(s[0:2])
	year, ok2 := number(s[2:4])
	month, ok3 := number(s[5:7])
	day, ok4 := number(s[8:10])
	hour, ok5 := number(s[11:13])
	minute, ok6 := number(s[14:16])
	second, ok7 := number(s[17:19])
	year += 100 * century
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || month < 1 || month > 12 || day < 1 || day > days(month, year) ||
		hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), true
}

func number(s string) (n int, ok bool) {
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = 10*n + int(d)
	}
	return n, true
}

func days(month, year int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
