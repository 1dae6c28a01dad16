package driver_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestRowsHaveTheValuesOfRaw reads the same random rows on go-sqlite3 and on this driver:
// values of each type in columns of each kind, small and large, in all the ways that rows
// get here: of a text that is new, and of one that is kept; within a transaction, and ahead
// of the reader; sorted, filtered and joined.
func TestRowsHaveTheValuesOfRaw(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"_journal=WAL", "_journal=WAL&_loc=America/New_York&_mutex=no", "_journal=DELETE&_loc=auto"} {
		for seed := range uint64(testenv.Sample(1, 20)) {
			onBoth(t, params, func(t *testing.T, db *sql.DB, _ func() *sql.DB) string {
				db.SetMaxOpenConns(1)
				rnd := rand.New(rand.NewPCG(1, seed))
				mustExec(t, db, "CREATE TABLE v (id INTEGER PRIMARY KEY, a DATETIME, b TIMESTAMP, c DATE, d BOOLEAN, e BLOB, f, g TEXT)")
				mustExec(t, db, "BEGIN")
				for range rnd.IntN(300) {
					args := make([]any, 7)
					for i := range args {
						args[i] = randomValue(rnd)
					}
					mustExec(t, db, "INSERT INTO v (a, b, c, d, e, f, g) VALUES (?, ?, ?, ?, ?, ?, ?)", args...)
				}
				mustExec(t, db, "COMMIT")
				var seen strings.Builder
				for _, text := range []string{
					"SELECT * FROM v", "SELECT * FROM v ORDER BY f, id", "SELECT f, g FROM v WHERE id > 7", "SELECT a, b, c FROM v WHERE typeof(a) = 'text'",
					"SELECT v.a, t.name, v.e FROM t JOIN v ON v.id = t.n", "SELECT length(f), upper(g) FROM v LIMIT 200",
				} {
					for range 4 {
						rows := query(t, db, text)
						dump(t, &seen, rows)
					}
					tx, err := db.Begin()
					if err != nil {
						t.Fatal(err)
					}
					dump(t, &seen, query(t, tx, text))
					tx.Rollback()
				}
				return seen.String()
			})
		}
	}
}

func dump(t *testing.T, to *strings.Builder, rows *sql.Rows) {
	t.Helper()
	defer rows.Close()
	columns, _ := rows.Columns()
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range dest {
		dest[i] = &values[i]
	}
	for n := 0; rows.Next(); n++ {
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			describe(to, v)
		}
		to.WriteString("\n")
	}
	fmt.Fprintln(to, rows.Err())
}

func randomValue(rnd *rand.Rand) any {
	switch rnd.IntN(14) {
	case 0:
		return nil
	case 1:
		return rnd.Int64() - rnd.Int64()
	case 2:
		return rnd.Int64N(3)
	case 3:
		return (1e12 + rnd.Int64N(1e12)) * (1 - 2*rnd.Int64N(2)) // milliseconds
	case 4:
		return rnd.NormFloat64()
	case 5:
		return randomBytes(rnd, 20)
	case 6:
		return string(randomBytes(rnd, 30)) // whatever they are
	case 7:
		return randomBytes(rnd, 40_000)
	case 8:
		return strings.Repeat("ä\x00", rnd.IntN(10_000))
	case 9:
		return ""
	case 10:
		return []byte{}
	}
	return randomTime(rnd)
}

func randomBytes(rnd *rand.Rand, most int) []byte {
	b := make([]byte, rnd.IntN(most))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// randomTime is a time in one of the ways to write it, or nearly.
func randomTime(rnd *rand.Rand) string {
	s := fmt.Sprintf("%04d-%02d-%02d", rnd.IntN(2500), rnd.IntN(14), rnd.IntN(33))
	if rnd.IntN(5) > 0 {
		s += []string{" ", " ", "T", "t"}[rnd.IntN(4)] + fmt.Sprintf("%02d:%02d", rnd.IntN(26), rnd.IntN(62))
		if rnd.IntN(5) > 0 {
			s += fmt.Sprintf(":%02d", rnd.IntN(62))
			if rnd.IntN(2) > 0 {
				s += "." + fmt.Sprint(rnd.Uint64())[:rnd.IntN(12)]
			}
		}
	}
	return s + []string{"", "", "", "Z", "+00:00", "-00:00", "+05:30", " ", "+0:00"}[rnd.IntN(9)]
}

type named string

// TestAScanIsThatOfRaw scans each kind of value, of each kind of column, into each kind of
// place.
func TestAScanIsThatOfRaw(t *testing.T) {
	t.Parallel()
	places := []func() any{
		func() any { return new(int64) }, func() any { return new(int) }, func() any { return new(int8) }, func() any { return new(uint) },
		func() any { return new(float64) }, func() any { return new(string) }, func() any { return new(named) }, func() any { return new([]byte) },
		func() any { return new(sql.RawBytes) }, func() any { return new(bool) }, func() any { return new(time.Time) }, func() any { return new(any) },
		func() any { return new(sql.NullString) }, func() any { return new(sql.Null[int64]) }, func() any { return new(sql.NullTime) }, func() any { return new(*string) },
	}
	onBoth(t, "_journal=WAL&_loc=Asia/Kolkata", func(t *testing.T, db *sql.DB, _ func() *sql.DB) string {
		db.SetMaxOpenConns(1)
		rnd := rand.New(rand.NewPCG(2, 2))
		mustExec(t, db, "BEGIN")
		mustExec(t, db, "CREATE TABLE v (a DATETIME, b BOOLEAN, c TEXT, d)")
		for range 150 {
			mustExec(t, db, "INSERT INTO v VALUES (?, ?, ?, ?)", randomValue(rnd), randomValue(rnd), randomValue(rnd), randomValue(rnd))
		}
		mustExec(t, db, "COMMIT")
		var text strings.Builder
		for n, place := range places {
			for range 3 {
				rows := query(t, db, "SELECT a, b, c, d FROM v")
				for rows.Next() {
					for i := range 4 {
						dest := []any{new(any), new(any), new(any), new(any)}
						dest[i] = place()
						err := rows.Scan(dest...)
						fmt.Fprintf(&text, "%d %d %v ", n, i, err)
						if v := reflect.ValueOf(dest[i]); v.Kind() == reflect.Pointer && !v.IsNil() && err == nil {
							describe(&text, v.Elem().Interface())
						}
						if n == 8 { // a Scan of RawBytes has to be the last
							break
						}
					}
					text.WriteString("\n")
				}
				fmt.Fprintln(&text, rows.Err())
				rows.Close()
			}
		}
		return text.String()
	})
}

func describe(to *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		fmt.Fprintf(to, "text of %d, %x ", len(v), sha256.Sum256([]byte(v)))
	case []byte:
		fmt.Fprintf(to, "blob of %d, %x, %v ", len(v), sha256.Sum256(v), v == nil)
	case sql.RawBytes:
		fmt.Fprintf(to, "raw of %d, %x, %v ", len(v), sha256.Sum256(v), v == nil)
	case sql.NullString:
		fmt.Fprintf(to, "null text of %d, %x, %v ", len(v.String), sha256.Sum256([]byte(v.String)), v.Valid)
	case named:
		describe(to, string(v))
	case *string:
		if v != nil {
			describe(to, *v)
		}
	default:
		fmt.Fprintf(to, "%T %#v ", v, v)
	}
}

// TestRowsAreReadAtAnyPace: RawBytes are what they were until the next row is asked for, and
// a value that a program keeps, however it got it, for good.
func TestRowsAreReadAtAnyPace(t *testing.T) {
	onBoth(t, "_journal=WAL", func(t *testing.T, db *sql.DB, _ func() *sql.DB) string {
		var seen strings.Builder
		for range 4 {
			rows := query(t, db, "SELECT name, CAST(name AS BLOB), name FROM t")
			var kept []any
			for rows.Next() {
				var text, any any
				var blob []byte
				if err := rows.Scan(&text, &blob, &any); err != nil {
					t.Fatal(err)
				}
				kept = append(kept, text, blob, any)
			}
			for _, v := range kept {
				describe(&seen, v)
			}
			rows = query(t, db, "SELECT name, CAST(name AS BLOB) FROM t")
			for n := 0; rows.Next() && n < 700; n++ {
				var text, blob sql.RawBytes
				if err := rows.Scan(&text, &blob); err != nil {
					t.Fatal(err)
				}
				db.QueryRow("SELECT count(*) FROM t").Scan(new(int))
				fmt.Fprintf(&seen, "%s %s ", text, blob)
			}
			rows.Close()
		}
		for range 4 { // the second RawBytes of each row, and the first of all, are empty
			for _, text := range []string{"SELECT '', '', id FROM t", "SELECT id, '', '' FROM t", "SELECT name, '', id FROM t", "SELECT x'01', '', id FROM t"} {
				rows := query(t, db, text)
				for n := 0; rows.Next() && n < 40; n++ {
					var raw [3]sql.RawBytes
					if err := rows.Scan(&raw[0], &raw[1], &raw[2]); err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&seen, "%#v ", raw)
				}
				rows.Close()
			}
		}
		return seen.String()
	})
}

// TestAnErrorComesAfterTheRowsBeforeIt: until then Rows are as they were, and who closes
// them has not met it.
func TestAnErrorComesAfterTheRowsBeforeIt(t *testing.T) {
	onBoth(t, "_journal=WAL", func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
		mustExec(t, db, "UPDATE t SET n = -9223372036854775808 WHERE id = 300")
		for i := range 4 {
			rows := query(t, db, "SELECT n, abs(n) FROM t")
			for n := 0; n < 100*i+50 && rows.Next(); n++ {
				types, err := rows.ColumnTypes()
				if err != nil {
					t.Fatal(err)
				}
				seen += types[0].DatabaseTypeName() + types[1].DatabaseTypeName()
			}
			seen += fmt.Sprint(rows.Close(), rows.Err())
		}
		for n := 260; n < 305; n++ {
			rows := query(t, db, "SELECT n, abs(n) FROM t")
			for i := 0; i < n && rows.Next(); i++ {
			}
			seen += fmt.Sprint(n, rows.Close(), rows.Err(), " ")
		}
		return seen
	})
}

// TestRowsAreTakenWhileTheyAreRead: for the race detector.
func TestRowsAreTakenWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	db, d := open(t, "", 1000)
	ended := make(chan struct{})
	defer func() { <-ended }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if rows, err := db.Query("SELECT id FROM t"); err == nil {
				for rows.Next() {
				}
				rows.Close()
			}
		}
	}()
	for range 100 {
		if frozen, err := d.Freeze(ctx, driver.FreezeOptions{Timeout: time.Microsecond, Force: true}); err == nil {
			frozen.Thaw()
		}
	}
}
