package sqlitecode

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// debian is the source that Debian 12 has, put together here: this program must have only
// that of go-sqlite3 in it.
var debian = "2022-12-28 14:03:47 " + strings.Repeat("df5c253c", 8)

func TestAVersionIsFoundWhereverItStands(t *testing.T) {
	code := "\x01\x023.40.1\x00" + strings.Repeat("\xff2033.", 20) + debian + "\x00"
	for _, before := range []int{0, 1, chunkSize - len(code) - 1, chunkSize - 90, chunkSize - 30, chunkSize - 3, chunkSize - 1, chunkSize, 2*chunkSize - 70} {
		text := strings.Repeat("\xfe", before) + code + strings.Repeat("20", 50)
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text))} {
			if v, err := versionIn(r); err != nil || v != (Version{"3.40.1", "2022-12-28 14:03:47"}) {
				t.Errorf("%d bytes before it, %s: %+v, %v", before, how, v, err)
			}
		}
	}
}

func TestAVersionIsNotGuessed(t *testing.T) {
	for what, test := range map[string]struct {
		text string
		want string
	}{
		"nothing":                     {"", ""},
		"a number alone":              {"\x003.40.1\x00", ""},
		"two sources":                 {debian + "\x00" + strings.Replace(debian, "2022", "2023", 1), ""},
		"the same source twice":       {debian + "\x00fts5: " + debian + "\x003.40.1\x00", "3.40.1"},
		"two numbers":                 {debian + "\x003.40.1\x003.1.2\x00", "of 2022-12-28"},
		"a number in a text":          {debian + "\x00libfoo-3.40.1\x00\x003.40.1 \x00\x003.41\x00", "of 2022-12-28"},
		"a date without a hash":       {"2022-12-28 14:03:47 is a day\x003.40.1\x00", ""},
		"a hash that is cut":          {debian[:idSize-1], ""},
		"a number of another library": {debian + "\x0013.40.1\x00", "of 2022-12-28"},
	} {
		if v, err := versionIn(bytes.NewReader([]byte(test.text))); err != nil || v.String() != test.want {
			t.Errorf("%s: %q, %v; want %q", what, v, err, test.want)
		}
	}
	if v, err := versionIn(io.MultiReader(strings.NewReader(debian), iotest.ErrReader(io.ErrNoProgress))); err == nil {
		t.Errorf("from a file that can't be read: %v", v)
	}
}

func TestTheRaceIsToldByTheDayOfTheSource(t *testing.T) {
	for day, loses := range map[string]bool{
		"2010-03-26": false, // 3.6.23.1
		"2010-07-21": true,  // 3.7.0
		"2026-01-09": true,  // 3.51.2
		"2026-03-13": false, // 3.51.3
		"":           false,
	} {
		v := Version{Source: strings.TrimSpace(day + " 12:00:00")}
		if day == "" {
			v.Source = ""
		}
		if v.LosesPages() != loses || (v.Warning("it") != "") != loses {
			t.Errorf("%s: %t, %q", day, v.LosesPages(), v.Warning("it"))
		}
	}
	if v := SourceID("3.40.1", debian); v != (Version{"3.40.1", "2022-12-28 14:03:47"}) {
		t.Errorf("%+v", v)
	}
}
