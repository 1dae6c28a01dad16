package testapp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// at is a moment of a run that was made up.
func at(second int) time.Time { return time.Unix(1_000_000+int64(second), 0) }

// in is a span that lies in generation g; the pushes to generation 2 and 3 run
// in the seconds 10 to 12 and 20 to 22.
func in(g uint64) Span {
	return Span{Start: at(int(g)*10 - 5), End: at(int(g)*10 - 4), First: g, Last: g}
}

// across is a span into which the push to generation g falls.
func across(g uint64) Span {
	return Span{Start: at(int(g)*10 - 12), End: at(int(g)*10 - 7), First: g - 1, Last: g}
}

// story is a run of three generations in which nothing went wrong. The third
// file was made from a pull of the second.
func story(t *testing.T) ([]File, *History) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	f := Fixture{Size: 600_000, Tables: 2}
	for name, generation := range map[string]uint64{"one": 1, "two": 2} {
		if err := f.Make(t.Context(), path(name), generation); err != nil {
			t.Fatal(err)
		}
	}
	h := new(History)
	write := func(file string, w Write) {
		h.AddWrite(w)
		if file == "" {
			return
		}
		if w.Kind == Counter {
			mustExec(t, path(file), `UPDATE testapp_counter SET value = value + 1`)
			return
		}
		parts := 1
		if w.Kind == Pair {
			parts = 2
		}
		for part := 1; part <= parts; part++ {
			mustExec(t, path(file), insertWrite, w.ID.Writer, w.ID.Seq, part, parts)
		}
	}
	write("one", Write{ID: ID{"w", 1}, Kind: Single, Span: in(1), Acked: true})
	write("one", Write{ID: ID{"w", 2}, Kind: Pair, Span: in(1), Acked: true})
	write("one", Write{ID: ID{"c", 1}, Kind: Counter, Span: in(1), Value: 1, Acked: true})
	write("one", Write{ID: ID{"w", 3}, Kind: Single, Span: across(2), Acked: true})
	write("two", Write{ID: ID{"v", 1}, Kind: Pair, Span: across(2), Acked: true})
	write("two", Write{ID: ID{"c", 2}, Kind: Counter, Span: across(2), Value: 1, Acked: true})
	write("two", Write{ID: ID{"w", 4}, Kind: Single, Span: in(2), Acked: true})
	if err := Restamp(t.Context(), path("two"), path("base"), 3); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(path("base"), path("three")); err != nil {
		t.Fatal(err)
	}
	write("two", Write{ID: ID{"w", 5}, Kind: Pair, Span: in(2), Acked: true}) // after the pull
	write("", Write{ID: ID{"w", 6}, Kind: Single, Span: across(3)})           // failed, and did not happen
	write("two", Write{ID: ID{"v", 2}, Kind: Pair, Span: across(3)})          // failed, and did happen
	write("three", Write{ID: ID{"w", 7}, Kind: Pair, Span: in(3), Acked: true})
	write("three", Write{ID: ID{"c", 3}, Kind: Counter, Span: in(3), Value: 2, Acked: true})
	for seq, g := range []uint64{1, 1, 2, 3} {
		h.AddRead(Read{Reader: "r", Seq: int64(seq + 1), Call: CallStatement, Span: in(g), Seen: Seen{g, g, stampRows}})
	}
	h.AddRead(Read{Reader: "s", Seq: 1, Call: CallNested, Span: across(2), Seen: Seen{1, 1, 0}})
	h.AddRead(Read{Reader: "s", Seq: 2, Call: CallCached, Span: across(3), Seen: Seen{3, 3, stampRows}})
	return []File{
		{Path: path("one"), Generation: 1, Until: at(12)},
		{Path: path("two"), Generation: 2, From: at(10), Until: at(22)},
		{Path: path("three"), Generation: 3, Base: path("base"), From: at(20)},
	}, h
}

func TestCheckFindsNothingWrongWithARunInWhichNothingWentWrong(t *testing.T) {
	files, h := story(t)
	v, err := Check(t.Context(), files, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
	if v.Files != 3 || v.Writes != 10 || v.Unacked != 2 || v.Reads != 6 {
		t.Errorf("checked %+v", v)
	}
}

// Each case breaks the files or the history in one way, and the check must
// name what was broken.
func TestCheckNamesWhatWentWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		harm  func(t *testing.T, files []File, h *History)
		fault Fault
		want  string
	}{
		{"an acknowledged row is deleted", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[1].Path, `DELETE FROM testapp_write WHERE writer = 'w' AND seq = 4`)
		}, Lost, "write w/4 (insert) was acknowledged in generation 2 and is in no file"},
		{"a row that came with the file is deleted", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[2].Path, `DELETE FROM testapp_write WHERE writer = 'w' AND seq = 4`)
		}, Lost, "write w/4 came with the file of generation 3 and is gone from it"},
		{"a row is in the next file too", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[1].Path, insertWrite, "w", 3, 1, 1)
		}, Doubled, "write w/3 (insert) is in the files of generations 1 and 2"},
		{"a row is twice in one file", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, insertWrite, "w", 1, 1, 1)
		}, Doubled, "write w/1 has its row 1 of 1 in the file of generation 1 2 times"},
		{"a write is in the next file only", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, `DELETE FROM testapp_write WHERE writer = 'w' AND seq = 1`)
			mustExec(t, files[1].Path, insertWrite, "w", 1, 1, 1)
		}, Misplaced, "write w/1 (insert) ran in generation 1 and is in the file of generation 2, which was not live then"},
		{"a write is where the driver says but the clock does not", func(t *testing.T, files []File, h *History) {
			h.writes[0].Span.Start, h.writes[0].Span.End = at(13), at(14)
		}, Misplaced, "write w/1"},
		{"half of a pair is deleted", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, `DELETE FROM testapp_write WHERE writer = 'w' AND seq = 2 AND part = 1`)
		}, Half, "write w/2 has some but not all of its 2 rows in the file of generation 1"},
		{"half of a failed pair is there", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[1].Path, `DELETE FROM testapp_write WHERE writer = 'v' AND seq = 2 AND part = 2`)
		}, Half, "write v/2 has some but not all of its 2 rows in the file of generation 2"},
		{"half of a pair went to the next file", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, `DELETE FROM testapp_write WHERE writer = 'w' AND seq = 2 AND part = 2`)
			mustExec(t, files[1].Path, insertWrite, "w", 2, 2, 2)
		}, Half, "write w/2"},
		{"a failed write is in two files", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[2].Path, insertWrite, "v", 2, 1, 2)
			mustExec(t, files[2].Path, insertWrite, "v", 2, 2, 2)
		}, Doubled, "write v/2 (two-row transaction) is in the files of generations 2 and 3"},
		{"a row that nobody wrote", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[2].Path, insertWrite, "ghost", 1, 1, 1)
		}, Unknown, "write ghost/1 is in the file of generation 3, and nobody wrote it"},
		{"a counter update is lost", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, `UPDATE testapp_counter SET value = 0`)
		}, Lost, "write c/1 (counter update) was told 1 in generation 1, and the counter is 0 in the file of generation 1"},
		{"a counter update is doubled", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[0].Path, `UPDATE testapp_counter SET value = 3`)
		}, Doubled, "2 counter updates at most were made in generation 1, and its counter grew by 3"},
		{"two counter updates are told the same", func(t *testing.T, files []File, h *History) {
			h.AddWrite(Write{ID: ID{"c", 4}, Kind: Counter, Span: in(3), Value: 2, Acked: true})
		}, Lost, "write c/3 (counter update) and write c/4 (counter update) were both told 2 in generation 3"},
		{"a stamp of another generation", func(t *testing.T, files []File, h *History) {
			mustExec(t, files[1].Path, `UPDATE testapp_generation SET generation = 1 WHERE id = 5`)
		}, Mixed, "the file of generation 2 has 1 rows of generation 1 in table testapp_generation"},
		{"pages of another file", func(t *testing.T, files []File, h *History) {
			mixPages(t, files[1].Path, files[0].Path)
		}, Mixed, "the file of generation 2 has"},
		{"a read of two generations", func(t *testing.T, files []File, h *History) {
			h.reads[2].Seen.Low = 1
		}, Mixed, "read r/3 (statement) saw generations 1 and 2 at once"},
		{"a read of a part", func(t *testing.T, files []File, h *History) {
			h.reads[1].Seen.Stamps--
		}, Mixed, "read r/2 (statement) saw 63 stamps of 64"},
		{"a stale read", func(t *testing.T, files []File, h *History) {
			h.reads[3].Seen = Seen{2, 2, stampRows}
		}, Stale, "read r/4 (statement) ran in generation 3 and saw generation 2, which was not live then"},
		{"a reader goes back", func(t *testing.T, files []File, h *History) {
			h.AddRead(Read{Reader: "r", Seq: 5, Call: CallStatement, Span: across(3), Seen: Seen{2, 2, stampRows}})
		}, Backwards, "read r/5 (statement) saw generation 2 after generation 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, h := story(t)
			c.harm(t, files, h)
			v, err := Check(t.Context(), files, h)
			if err != nil {
				t.Fatal(err)
			}
			if v.Err() == nil {
				t.Fatal("nothing was found")
			}
			for _, p := range v.Problems {
				if p.Fault == c.fault && strings.Contains(p.Text, c.want) {
					return
				}
			}
			t.Errorf("want %s: %s\ngot %v", c.fault, c.want, v.Err())
		})
	}
}

func TestCheckRefusesAFileWhoseWALIsNotEmpty(t *testing.T) {
	files, h := story(t)
	if err := os.WriteFile(files[2].Path+"-wal", []byte("frames"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), files, h); err == nil || !strings.Contains(err.Error(), "-wal is not empty") {
		t.Errorf("got %v", err)
	}
}

func mustExec(t *testing.T, path, query string, args ...any) {
	t.Helper()
	if err := execPlain(t.Context(), path, query, args...); err != nil {
		t.Fatal(err)
	}
}

// mixPages puts some pages of the file from over those of the file into: the
// leaves of the data, which are laid out alike in both.
func mixPages(t *testing.T, into, from string) {
	t.Helper()
	const page = 4096
	a, b := mustRead(t, into), mustRead(t, from)
	for off := 40 * page; off+page <= min(len(a), len(b)); off += 2 * page {
		copy(a[off:off+page], b[off:])
	}
	if err := os.WriteFile(into, a, 0o600); err != nil {
		t.Fatal(err)
	}
}
