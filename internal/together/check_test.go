package together

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// call is a line of a program's history.
type call struct {
	what       string
	began, end int64
	text       []string
	where      string // which history, and line
}

// check holds what the programs were told against what is in the versions.
func (w *world) check() {
	w.t.Helper()
	versions := map[string]string{w.live: w.path}
	for _, stamp := range w.kept {
		versions[stamp] = w.version(stamp)
	}
	there := map[string][]string{} // the versions that a write is in
	for stamp, path := range versions {
		ids, err := readVersion(path, stamp)
		if err != nil {
			w.t.Errorf("version %s: %v", stamp, err)
		}
		for _, id := range ids {
			there[id] = append(there[id], stamp)
		}
	}
	names, _ := filepath.Glob(filepath.Join(w.dir, "history-*"))
	var all []call
	for _, name := range names {
		calls, err := readHistory(name)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, calls...)
	}
	problems := judge(all, there)
	for i, problem := range problems {
		if i == 10 {
			w.t.Errorf("and %d more", len(problems)-i)
			break
		}
		w.t.Error(problem)
	}
	if len(all) == 0 {
		w.t.Error("nothing happened")
	}
	for _, c := range all {
		if c.what != "failed" {
			w.longest = max(w.longest, time.Duration(c.end-c.began))
		}
	}
	w.t.Logf("%d calls, %d writes, %d versions; the longest call took %v", len(all), len(there), len(versions), w.longest)
}

// judge is the checker: there has the versions that each write is in.
func judge(all []call, there map[string][]string) (problems []string) {
	bad := func(c call, format string, args ...any) {
		problems = append(problems, c.where+": "+fmt.Sprintf(format, args...))
	}
	tried := map[string]bool{}
	// A version's last sight, by when the call ended; and its first, by when it began.
	type span struct{ lastBegan, firstEnded int64 }
	seen := map[string]*span{}
	note := func(stamp string, c call) {
		s := seen[stamp]
		if s == nil {
			s = &span{c.began, c.end}
			seen[stamp] = s
		}
		s.lastBegan, s.firstEnded = max(s.lastBegan, c.began), min(s.firstEnded, c.end)
	}
	for _, c := range all {
		switch c.what {
		case "failed":
			bad(c, "a call failed: %s", strings.Join(c.text, " "))
		case "tries":
			tried[c.text[0]] = true
		case "wrote":
			id, stamp := c.text[0], c.text[1]
			note(stamp, c)
			switch in := there[id]; {
			case len(in) == 0:
				bad(c, "write %s, acknowledged in %s, is lost", id, stamp)
			case len(in) > 1:
				bad(c, "write %s, acknowledged in %s, is in %v", id, stamp, in)
			case in[0] != stamp:
				bad(c, "write %s, acknowledged in %s, is in %s", id, stamp, in[0])
			}
		case "saw":
			if c.text[0] != c.text[1] || c.text[1] != c.text[2] || c.text[3] != fmt.Sprint(items) {
				bad(c, "a call saw a mixture: %v", c.text)
			}
			note(c.text[0], c)
		}
	}
	for id, in := range there {
		if len(in) > 1 {
			problems = append(problems, fmt.Sprintf("write %s is in %v", id, in))
		}
		if !tried[id] && id != "held" {
			problems = append(problems, fmt.Sprintf("write %s, in %v, was never made", id, in))
		}
	}
	// Stamps are in the order in which they were pushed: once a call that saw a later one
	// has ended, none that begins sees an earlier one.
	for _, c := range all {
		stamp := ""
		switch c.what {
		case "saw":
			stamp = c.text[0]
		case "wrote":
			stamp = c.text[1]
		default:
			continue
		}
		for later, s := range seen {
			if later > stamp && s.firstEnded < c.began {
				bad(c, "a call (%s) saw %s after another had seen %s, %v before", c.what, stamp, later, time.Duration(c.began-s.firstEnded))
			}
		}
	}
	return problems
}

func readHistory(name string) (all []call, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		part := strings.Fields(in.Text())
		if len(part) < 4 {
			continue // cut off by a kill
		}
		c := call{what: part[0], text: part[3:], where: fmt.Sprintf("%s:%d", filepath.Base(name), n)}
		if c.began, err = strconv.ParseInt(part[1], 10, 64); err != nil {
			return nil, err
		}
		if c.end, err = strconv.ParseInt(part[2], 10, 64); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, in.Err()
}

// readVersion returns the writes in a version.
func readVersion(path, stamp string) (ids []string, err error) {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var g, lowest, highest, check string
	var n int
	if err := db.QueryRow(readStamps).Scan(&g, &lowest, &highest, &n); err != nil {
		return nil, err
	}
	if g != stamp || lowest != stamp || highest != stamp || n != items {
		return nil, fmt.Errorf("it has %s, %s to %s, %d rows", g, lowest, highest, n)
	}
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		return nil, fmt.Errorf("%s, %v", check, err)
	}
	rows, err := db.Query("SELECT id FROM acked")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func TestWrongHistoriesAreFoundToBe(t *testing.T) {
	saw := func(began, end int64, text string) call { return call{"saw", began, end, strings.Fields(text), "x"} }
	tries := call{"tries", 1, 1, []string{"1-1"}, "x"}
	wrote := call{"wrote", 1, 2, []string{"1-1", "v1"}, "x"}
	for name, h := range map[string]struct {
		all   []call
		there map[string][]string
		want  string
	}{
		"nothing wrong":    {[]call{tries, wrote, saw(1, 2, "v1 v1 v1 50"), saw(2, 3, "v2 v2 v2 50")}, map[string][]string{"1-1": {"v1"}}, ""},
		"lost":             {[]call{tries, wrote}, nil, "is lost"},
		"doubled":          {[]call{tries, wrote}, map[string][]string{"1-1": {"v1", "v2"}}, "is in [v1 v2]"},
		"in another":       {[]call{tries, wrote}, map[string][]string{"1-1": {"v2"}}, "is in v2"},
		"from nowhere":     {[]call{tries, wrote}, map[string][]string{"1-1": {"v1"}, "2-2": {"v1"}}, "never made"},
		"a mixture":        {[]call{saw(1, 2, "v1 v1 v2 50")}, nil, "mixture"},
		"a part":           {[]call{saw(1, 2, "v1 v1 v1 49")}, nil, "mixture"},
		"back in time":     {[]call{saw(1, 2, "v2 v2 v2 50"), saw(3, 4, "v1 v1 v1 50")}, nil, "after another had seen"},
		"a failed call":    {[]call{{"failed", 1, 2, []string{"locked"}, "x"}}, nil, "a call failed"},
		"at the same time": {[]call{saw(1, 3, "v2 v2 v2 50"), saw(2, 4, "v1 v1 v1 50")}, nil, ""},
	} {
		got := strings.Join(judge(h.all, h.there), "; ")
		if h.want == "" && got != "" || !strings.Contains(got, h.want) {
			t.Errorf("%s: %q; want %q", name, got, h.want)
		}
	}
}
