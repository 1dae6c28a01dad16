package testapp

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
)

func TestFixtureIsTheSameEachTimeAndOfAboutTheSizeAsked(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	f := Fixture{Seed: 7}
	for path, generation := range map[string]uint64{a: 1, b: 1, c: 2} {
		if err := f.Make(t.Context(), path, generation); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := mustRead(t, a), mustRead(t, b), mustRead(t, c)
	if !bytes.Equal(first, second) {
		t.Error("two files of one generation differ")
	}
	if bytes.Equal(first, third) {
		t.Error("two generations are the same")
	}
	if len(first) != len(third) {
		t.Errorf("two generations are of %d and %d bytes: their pages cannot be mixed", len(first), len(third))
	}
	if size := len(first); size < 3_700_000 || size > 4_600_000 {
		t.Errorf("a fixture of 4 MiB has %d bytes", size)
	}
	if err := f.Make(t.Context(), a, 3); err == nil {
		t.Error("a fixture was made over a file that exists")
	}
}

func TestFixtureHasItsStampsAllOverTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := (Fixture{}).Make(t.Context(), path, 0x5a5b5c); err != nil {
		t.Fatal(err)
	}
	body := mustRead(t, path)
	// The stamp as SQLite stores it: three bytes, big-endian.
	stamped := make([]bool, 10)
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte{0x5a, 0x5b, 0x5c})
		if i < 0 {
			break
		}
		at += i + 1
		stamped[at*len(stamped)/len(body)] = true
	}
	for i, ok := range stamped {
		if !ok {
			t.Errorf("no stamp in tenth %d of the file", i+1)
		}
	}
}

func TestRestampChangesTheGenerationAndKeepsTheWrites(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	if err := (Fixture{JournalMode: "wal"}).Make(t.Context(), src, 1); err != nil {
		t.Fatal(err)
	}
	if err := execPlain(t.Context(), src, insertWrite, "w", 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := Restamp(t.Context(), src, dst, 2); err != nil {
		t.Fatal(err)
	}
	c, err := readContents(t.Context(), File{Path: dst, Generation: 2})
	if err != nil {
		t.Fatal(err)
	}
	var v Verdict
	if c.checkFile(&v); v.Err() != nil {
		t.Error(v.Err())
	}
	if _, ok := c.rows[ID{"w", 1}]; !ok {
		t.Error("the write is gone")
	}
	if got := mustRead(t, dst)[18]; got != 2 {
		t.Errorf("the copy's write version is %d, want 2 (WAL)", got)
	}
}

// What each damage must and must not break, for the tests that push them.
func TestSpoilMakesWhatItSays(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := (Fixture{Size: 1 << 20}).Make(t.Context(), src, 1); err != nil {
		t.Fatal(err)
	}
	whole := mustRead(t, src)
	for _, d := range Damages() {
		t.Run(string(d), func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "dst")
			if err := Spoil(t.Context(), src, dst, d); err != nil {
				t.Fatal(err)
			}
			got := mustRead(t, dst)
			sameLength := len(got) == len(whole)
			switch d {
			case Empty:
				if len(got) != 0 {
					t.Errorf("has %d bytes", len(got))
				}
			case Cut, CutAtPage:
				if sameLength || len(got) == 0 || (len(got)%4096 == 0) != (d == CutAtPage) || !bytes.Equal(got, whole[:len(got)]) {
					t.Errorf("has %d bytes of %d", len(got), len(whole))
				}
			case Noise:
				if !sameLength || bytes.Equal(got[:16], whole[:16]) {
					t.Error("looks like a database")
				}
			case CorruptPage:
				if !sameLength || !bytes.Equal(got[:4096], whole[:4096]) {
					t.Error("the header or the length changed too")
				}
				wantCheck(t, dst, "integrity_check", false)
				wantCheck(t, dst, "quick_check", false)
			case StaleIndex:
				wantCheck(t, dst, "integrity_check", false)
				wantCheck(t, dst, "quick_check", true)
			case WrongSchema:
				wantCheck(t, dst, "integrity_check", true)
			default:
				t.Errorf("nobody says what it should be")
			}
		})
	}
}

func wantCheck(t *testing.T, path, pragma string, want bool) {
	t.Helper()
	var result string
	err := withImmutable(path, func(db *sql.DB) error {
		return db.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&result)
	})
	if ok := err == nil && result == "ok"; ok != want {
		t.Errorf("%s says %q (error %v), want ok = %t", pragma, result, err, want)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
