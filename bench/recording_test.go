package bench

import (
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// recording is what a benchmark saw, for bench/plot to draw. Without -record
// it keeps nothing.
type recording struct {
	name string
	rows [][]string // the header first
}

func (r *recording) add(row ...string) {
	if *recordDir != "" {
		r.rows = append(r.rows, row)
	}
}

// write leaves a file from an earlier run alone if there is nothing to write.
func (r *recording) write(b *testing.B) {
	b.Helper()
	if len(r.rows) < 2 {
		return
	}
	if err := r.writeTo(*recordDir); err != nil {
		b.Error(err)
	}
}

func (r *recording) writeTo(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, r.name))
	if err != nil {
		return err
	}
	return errors.Join(csv.NewWriter(f).WriteAll(r.rows), f.Close())
}
