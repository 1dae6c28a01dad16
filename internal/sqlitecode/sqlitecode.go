// Package sqlitecode tells which SQLite a process runs, from the files that its code was
// loaded from: each SQLite has the date and the hash of its source in it.
package sqlitecode

import (
	"bytes"
	"errors"
	"io"
	"regexp"
)

// Version is that of an SQLite; the zero value is of one that is not known.
type Version struct {
	// Number is "3.40.1", or "" if only the source is known.
	Number string
	// Source is when the source was checked in: "2022-12-28 14:03:47".
	Source string
}

// String returns the number, or the day of the source.
func (v Version) String() string {
	if v.Number != "" || v.Source == "" {
		return v.Number
	}
	return "of " + v.Source[:len("2022-12-28")]
}

// The race was found, and fixed, in March 2026; the versions since then are 3.51.3, and
// 3.44.6 and 3.50.7 of older lines. The date tells these apart from their neighbours.
const (
	firstWAL  = "2010-07-21" // 3.7.0
	raceFixed = "2026-03-03"
)

// LosesPages reports whether this SQLite may lose what was committed in WAL mode, when a
// checkpoint of its own races with a writer of whatever version
// (https://sqlite.org/wal.html#the_wal_reset_bug). A connection that has the database open for
// reading only can't checkpoint: it fails before it has changed anything.
func (v Version) LosesPages() bool { return v.Source >= firstWAL && v.Source < raceFixed }

// Warning says what may happen if whoever it is checkpoints a database in WAL mode, and
// what to do; "" if nothing is known to.
func (v Version) Warning(who string) string {
	if !v.LosesPages() {
		return ""
	}
	return who + " has SQLite " + v.String() + ", which can lose commits in WAL mode when it checkpoints, as it does by itself, beside one that writes " +
		"(https://sqlite.org/wal.html#the_wal_reset_bug, fixed in 3.51.3): update it, or open the database there with mode=ro"
}

// SourceID reads an SQLite's own answer to sqlite3_sourceid.
func SourceID(number, id string) Version {
	v := Version{Number: number}
	if m := sourceID.FindString(id); m != "" {
		v.Source = m[:len(sourceForm)]
	}
	return v
}

const sourceForm = "2022-12-28 14:03:47"

var (
	sourceID = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9a-f]{40}`)
	// Behind a byte that is not of a text, and at the end of one.
	number = regexp.MustCompile(`^[^ -~](3\.[0-9]{1,2}\.[0-9]{1,2}(?:\.[0-9]{1,2})?)\x00`)
)

const (
	idSize     = len(sourceForm) + 1 + 40
	numberSize = len("\x003.99.99.99\x00")
	chunkSize  = 1 << 20
)

// versionIn looks for the one SQLite whose code is in what r reads. Of a file with two it
// is not known which is in use, nor is a number if there are several that may be it.
func versionIn(r io.Reader) (Version, error) {
	sources, numbers := map[string]bool{}, map[string]bool{}
	buf := make([]byte, idSize, idSize+chunkSize) // begins with what the last chunk ended with
	for {
		n, err := io.ReadFull(r, buf[idSize:cap(buf)])
		chunk := buf[:idSize+n]
		for rest := chunk; ; rest = rest[1:] {
			i := bytes.Index(rest, []byte("20"))
			if i < 0 {
				break
			}
			rest = rest[i:]
			if len(rest) >= idSize && sourceID.Match(rest[:idSize]) {
				sources[string(rest[:len(sourceForm)])] = true
			}
		}
		for at := 1; ; at++ {
			i := bytes.Index(chunk[at:], []byte("3."))
			if i < 0 {
				break
			}
			at += i
			if m := number.FindSubmatch(chunk[at-1 : min(len(chunk), at-1+numberSize)]); m != nil {
				numbers[string(m[1])] = true
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return Version{only(numbers), only(sources)}.known(), nil
		case err != nil:
			return Version{}, err
		}
		copy(buf, chunk[n:])
	}
}

func only(of map[string]bool) string {
	for one := range of {
		if len(of) == 1 {
			return one
		}
	}
	return ""
}

// known forgets a number that stands alone: many things are called 3.1.2.
func (v Version) known() Version {
	if v.Source == "" {
		return Version{}
	}
	return v
}
