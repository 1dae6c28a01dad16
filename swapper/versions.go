package swapper

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hotswap/internal/backups"
	"hotswap/internal/openers"
	"hotswap/internal/unix"
)

// Backup is a database that a push has replaced and kept.
type Backup struct {
	Path string `json:"path"`
	// Number is that of a numbered backup, 0 of a simple one.
	Number int `json:"number,omitempty"`
	// Size is the file's, in bytes.
	Size int64 `json:"size"`
	// Modified is when the file was last written to: as the live database, most likely.
	Modified time.Time `json:"modified"`
	// What follows is known if a push has kept it, on a file system with extended
	// attributes: when it was replaced, which generation of the program's it was, by whom
	// (PushOptions.By) and with what (PushOptions.Source).
	Replaced   time.Time `json:"replaced,omitzero"`
	Generation uint64    `json:"generation,omitempty"`
	By         string    `json:"by,omitempty"`
	Source     string    `json:"source,omitempty"`
	// Tag names the content, as Report.Tag does; it is only set by package sockserver.
	Tag string `json:"tag,omitempty"`
}

// Backups returns the backups of the database at path: the numbered ones, the latest
// first, and then the simple one. None is opened. To go back to one, push it.
func Backups(path string) ([]Backup, error) {
	files, err := backups.List(path)
	if err != nil {
		return nil, err
	}
	all := make([]Backup, len(files))
	for i, f := range files {
		all[i] = Backup{Path: f.Path, Number: f.Number, Size: f.Info.Size(), Modified: f.Info.ModTime()}
		if text, err := getXattr(f.Path, recordAttr); err == nil && len(text) > 0 {
			var r record
			if json.Unmarshal(text, &r) == nil {
				all[i].Replaced, all[i].Generation, all[i].By, all[i].Source = r.Replaced, r.Generation, r.By, r.Source
			}
		}
	}
	return all, nil
}

// recordAttr is the extended attribute that a backup's record is in. It is not the live
// database's: see listXattrs.
const recordAttr = "user.hotswap.replaced"

// record is what a backup says of itself.
type record struct {
	Replaced   time.Time `json:"replaced"`
	Generation uint64    `json:"generation"`
	By         string    `json:"by,omitempty"`
	Source     string    `json:"source,omitempty"`
}

// maxRecorded bounds a text in the record, in bytes: attributes have little room.
const maxRecorded = 500

// note gives what is about to become a backup its record. It is no loss if it can't have
// one.
func (p *push) note(undo string) {
	text, err := json.Marshal(record{time.Now(), p.report.GenerationBefore,
		strings.ToValidUTF8(shorten(p.opts.By, maxRecorded), ""), strings.ToValidUTF8(shorten(p.opts.Source, maxRecorded), "")})
	if err == nil {
		_ = unix.Lsetxattr(undo, recordAttr, text, 0)
	}
}

// prune removes the oldest of the numbered backups but for keep.
func (p *push) prune(keep int) {
	all, err := backups.List(p.db.Path())
	numbered := all
	for i, f := range all {
		if f.Number == 0 {
			numbered = all[:i]
			break
		}
	}
	for i := len(numbered) - 1; i >= keep; i-- { // the oldest first
		err = errors.Join(err, p.removeBackup(numbered[i].Path))
	}
	if err != nil {
		p.events.warn("older backups could not be removed: "+err.Error(), nil)
	}
}

// removeBackup removes a backup that nobody has open, and that is no database of the
// program's, with what belongs to it.
func (p *push) removeBackup(name string) error {
	state, err := lookAt(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !state.mode.IsRegular() {
		return err
	}
	if isManaged(name) {
		p.events.warn(filepath.Base(name)+" is a database of the program's, and stays", nil)
		return nil
	}
	used := len(openers.Elsewhere(state.inode())) > 0
	if open, err := openers.Here(state.inode()); err != nil || open {
		used = true
	}
	if !used {
		// Of a process of another user's, only the lease tells.
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		used = errors.Is(setLease(f), errLeaseRefused)
	}
	if used {
		p.events.warn(filepath.Base(name)+" is being read, and stays", nil)
		return nil
	}
	var gone Orphans
	if err := gone.remove(name); err != nil {
		return err
	}
	p.events.step(StepPruned, "removed the backup "+filepath.Base(name), map[string]any{"file": name})
	return nil
}
