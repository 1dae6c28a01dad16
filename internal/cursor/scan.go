package cursor

import (
	"database/sql"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Scan copies the i-th column of the current row to where a program wants it, without a
// value in between, for the commonest pairs of types. What it does is what
// database/sql would do with the [Cursor.Value], which is for all other pairs: then Scan
// is false, and has done nothing. RawBytes are good until the next row is asked for.
func (c *Cursor) Scan(i int, declared string, loc *time.Location, dest any) bool {
	cell := c.cell(i)
	special := declared == "timestamp" || declared == "datetime" || declared == "date" || declared == "boolean"
	switch d := dest.(type) {
	case *int64:
		if d == nil || cell._type != integer || special {
			return false
		}
		*d = *(*int64)(unsafe.Pointer(&cell.v))
	case *int:
		if d == nil || cell._type != integer || special || math.MaxInt != math.MaxInt64 {
			return false
		}
		*d = int(*(*int64)(unsafe.Pointer(&cell.v)))
	case *float64:
		if d == nil || cell._type != float {
			return false
		}
		*d = math.Float64frombits(*(*uint64)(unsafe.Pointer(&cell.v)))
	case *string:
		if d == nil || cell._type != text || special {
			return false
		}
		*d = strings.Clone(c.view(cell))
	case *[]byte:
		if d == nil || cell.n == 0 || cell._type != blob && (cell._type != text || special) {
			return false
		}
		*d = []byte(c.view(cell))
	case *sql.RawBytes:
		if d != nil && cell._type == integer && !special {
			from := len(c.digits)
			c.digits = strconv.AppendInt(c.digits, *(*int64)(unsafe.Pointer(&cell.v)), 10)
			*d = c.digits[from:len(c.digits):len(c.digits)]
			c.raw = true
			break
		}
		if d != nil && cell.n == 0 && cell._type == text && !special && c.raw {
			*d = sql.RawBytes{} // from database/sql nil, like NULL, until it has a buffer for RawBytes
			break
		}
		if d == nil || cell.n == 0 || cell._type != blob && (cell._type != text || special) {
			return false
		}
		c.raw = c.raw || cell._type == text
		if c.Direct() { // SQLite may free it while the program has it
			*d = []byte(c.view(cell))
			break
		}
		*d = unsafe.Slice(unsafe.StringData(c.view(cell)), cell.n)
	case *time.Time:
		if d == nil || cell._type != text || !special || declared == "boolean" {
			return false
		}
		*d = in(loc, ParseTime(c.view(cell)))
	case *any:
		if d == nil {
			return false
		}
		*d = c.Value(i, declared, loc)
	default:
		return false
	}
	return true
}
