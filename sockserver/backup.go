package sockserver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"hotswap/driver"
	"hotswap/internal/backups"
	"hotswap/internal/door"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
	"hotswap/swapper"
)

// BackupInfo is the backup of a database: the one that a push with the option
// backup replaced.
type BackupInfo struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	// Modified is when the file was last written to.
	Modified time.Time `json:"modified"`
}

func backupOf(path string) *BackupInfo {
	name := latestBackup(path)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &BackupInfo{Path: name, Size: info.Size(), Modified: info.ModTime()}
}

// latestBackup is the path of the backup that was kept last: of the numbered ones that is
// the one with the highest number.
func latestBackup(path string) string {
	simple := backups.SimplePath(path)
	all, err := swapper.Backups(path)
	if err != nil || len(all) == 0 {
		return simple
	}
	last := all[len(all)-1]
	if last.Number > 0 || keptAt(all[0]).After(keptAt(last)) {
		return all[0].Path
	}
	return simple
}

// keptAt is when a backup was kept. One without a record, of a push that was killed before
// it had written it, or on a file system that has no room for one, got its name by a rename
// or a link, which set the time of the inode's last change. Later a chmod may have set that,
// too, or a restore of the whole directory, but no reading, and nobody writes to a backup.
func keptAt(b swapper.Backup) time.Time {
	if !b.Replaced.IsZero() {
		return b.Replaced
	}
	changed, err := unix.ChangeTime(b.Path)
	if err != nil {
		return time.Time{} // it is gone
	}
	return changed
}

// fromBackup is the value of the parameter from by which a push takes the backup
// beside the database instead of a body.
const fromBackup = "backup"

// backupSource reads a backup of a database, for a push that takes it back. It has it
// open only from its first Read to its end: a push whose own backup goes there refuses
// what the program has open.
type backupSource struct {
	name string
	info os.FileInfo
	file *os.File
}

// findBackup finds the backup of the database at path. The caller closes it.
func findBackup(path string) (*backupSource, error) {
	return openBackup(latestBackup(path))
}

func openBackup(name string) (*backupSource, error) {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, noBackup("there is no backup %s", printable.Line(name))
	case err != nil:
		return nil, fmt.Errorf("examine the backup: %w", err)
	case !info.Mode().IsRegular():
		return nil, noBackup("%s is not a regular file (it is %s)", printable.Line(name), sqlitefile.KindOf(info.Mode()))
	}
	// Closing a descriptor of what SQLite has open would drop its locks.
	for _, open := range door.Paths() {
		if other, err := os.Stat(open); err == nil && os.SameFile(info, other) {
			return nil, noBackup("the program has %s open", printable.Line(name))
		}
	}
	if _, managed := driver.Lookup(name); managed { // and may open it at any moment
		return nil, noBackup("%s is a database of the program's", printable.Line(name))
	}
	suffix, err := sqlitefile.Pending(name)
	if err != nil {
		return nil, fmt.Errorf("examine the backup: %w", err)
	}
	if suffix != "" {
		p := noBackup("%s has a %s, without which it is not complete", printable.Line(name), suffix)
		p.Hint = "push it with `hotswap cp`, which reads both"
		return nil, p
	}
	return &backupSource{name: name, info: info}, nil
}

// open opens the backup, once.
func (s *backupSource) open() (err error) {
	if s.file != nil {
		return nil
	}
	if s.file, err = os.OpenFile(s.name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	if now, err := s.file.Stat(); err != nil || !os.SameFile(s.info, now) {
		return noBackup("%s is being replaced", printable.Line(s.name))
	}
	return nil
}

func (s *backupSource) Read(p []byte) (n int, err error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	n, err = s.file.Read(p)
	if err == io.EOF {
		s.Close()
	}
	return n, err
}

// Close may be called again. A Read after the end fails, and opens nothing.
func (s *backupSource) Close() {
	if s.file != nil {
		s.file.Close()
	}
}

func noBackup(format string, args ...any) *Problem {
	return &Problem{
		Type:   ProblemTarget,
		Title:  "no backup to go back to",
		Status: http.StatusConflict,
		Detail: fmt.Sprintf(format, args...),
		Hint:   "push a database of your own",
	}
}
