package cursor

import (
	"reflect"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// FuzzParseTime compares with the way in which go-sqlite3 reads a time.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05", "2006-01-02 15:04:05+00:00", "2006-01-02 15:04:05.5Z", "2024-02-29 00:00:00",
		"2023-02-29 00:00:00", "1900-02-29 00:00:00", "2000-02-29 00:00:00", "2006-01-02 24:00:00", "2006-01-02 15:04:60", "0000-00-00 00:00:00", "2006-01-02 15:04:05.",
		"2006-01-02 15:04:05,5", "2006-01-02 15:04:05.1234567890", "2006-01-02T15:04", "2006-01-02", "+006-01-02 15:04:05", "2006-01-02 15:04:05Z+00:00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := time.Time{}
		for _, format := range sqlite3.SQLiteTimestampFormats {
			if at, err := time.ParseInLocation(format, strings.TrimSuffix(s, "Z"), time.UTC); err == nil {
				want = at
				break
			}
		}
		if got := ParseTime(s); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, want %#v", s, got, want)
		}
	})
}
