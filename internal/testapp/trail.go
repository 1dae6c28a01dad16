package testapp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hotswap/swapper"
)

// File is one of the files that a database's path has held.
type File struct {
	Path string
	// Generation is both its stamp and the database's generation while it was
	// live.
	Generation uint64
	// Base is a copy of the file as it was before it became live, for the
	// writes that it already had; "" means that it had none.
	Base string
	// InPlace says that it was written over the one before. Calls that began
	// before the generation advanced may have met it.
	InPlace bool
	// From and Until bound the time in which it can have been live. Two files
	// that follow each other overlap by the duration of the push. The zero
	// time means no bound.
	From, Until time.Time
}

// mayHold tells whether a call that ran in s can have met this file.
func (f File) mayHold(s Span) bool {
	last := s.Last
	if f.InPlace {
		last++
	}
	return f.Generation >= s.First && f.Generation <= last &&
		(f.From.IsZero() || !s.End.Before(f.From)) &&
		(f.Until.IsZero() || !s.Start.After(f.Until))
}

// Trail keeps each file that pushes with a backup replace. It may be used
// concurrently, but the pushes that it is told of must not overlap.
type Trail struct {
	dir string // where the replaced files go; on the live file's file system

	mu    sync.Mutex // guards files
	files []File     // in order; the last one is live
}

// NewTrail starts the trail of the database at path, which is of generation
// now, and keeps the files that get replaced in dir. Base is as in [File].
func NewTrail(path, dir string, generation uint64, base string) *Trail {
	return &Trail{dir: dir, files: []File{{Path: path, Generation: generation, Base: base}}}
}

// Replaced records a push that succeeded, and moves away the backup that it
// left, so that the next push can leave another. base is the new file's, start
// and end are when the push was called and when it returned.
func (t *Trail) Replaced(report swapper.Report, base string, start, end time.Time) error {
	backup, generation := report.BackupPath, report.Generation
	t.mu.Lock()
	defer t.mu.Unlock()
	old := &t.files[len(t.files)-1]
	if generation != old.Generation+1 {
		return fmt.Errorf("generation %d follows generation %d", generation, old.Generation)
	}
	if backup == "" {
		return errors.New("the push kept no backup")
	}
	kept := filepath.Join(t.dir, fmt.Sprintf("generation-%03d.db", old.Generation))
	if err := os.Rename(backup, kept); err != nil {
		return fmt.Errorf("keep the replaced file: %w", err)
	}
	live := old.Path
	old.Path, old.Until = kept, end
	t.files = append(t.files, File{Path: live, Generation: generation, Base: base, From: start, InPlace: report.Method == swapper.MethodInPlace})
	return nil
}

// Files returns the files so far, in order; the last one is live.
func (t *Trail) Files() []File {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]File(nil), t.files...)
}
