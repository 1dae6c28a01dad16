package swapper

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hotswap/internal/sqlitefile"
)

// FuzzSource: whatever bytes a source yields, they are refused as a bad
// database or accepted whole, and nothing is left in the directory.
func FuzzSource(f *testing.F) {
	good := make([]byte, 1024)
	copy(good, "SQLite format 3\x00")
	good[16], good[17], good[18], good[19], good[31] = 2, 0, 1, 1, 2
	for _, data := range [][]byte{nil, good[:50], good[:100], good, good[:1000], append(bytes.Clone(good), 0)} {
		f.Add(data, int64(len(data)))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		s, err := createStage(filepath.Join(dir, "live.sqlite3"), kindStage, private)
		if err != nil {
			t.Fatal(err)
		}
		if size > 1<<30 { // only the disk would be tested
			size %= 1 << 20
		}
		_, err = s.receive(context.Background(), bytes.NewReader(data), PushOptions{Size: max(size, 0)}, func(int64) {})
		if err == nil {
			var head sqlitefile.Header
			if head, err = sqlitefile.ReadHeader(s.file); err != nil {
				t.Fatal(err)
			}
			err = checkLength(head, s.size)
			got, readErr := os.ReadFile(s.path)
			if readErr != nil || !bytes.Equal(got, data) {
				t.Errorf("the stage has %d bytes of %d, %v", len(got), len(data), readErr)
			}
		}
		if err != nil && !errors.Is(err, ErrBadDatabase) && !errors.Is(err, ErrNoSpace) {
			t.Errorf("got %v", err)
		}
		s.discard()
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}
