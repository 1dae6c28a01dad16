package swapper

import (
	"os"
	"path/filepath"

	"hotswap/internal/sqlitefile"
)

// nameBackup gives what holds the old database its backup name. If the process
// dies in here, the name that it has says that it is to be kept, and RemoveOrphans
// does all of this again.
func nameBackup(undo, path string) error {
	// An older backup that somebody opened may have left a WAL, which would be
	// replayed into this one.
	removed := false
	for _, suffix := range sqlitefile.Sidecars {
		err := os.Remove(path + suffix)
		if err != nil && !sqlitefile.Absent(err) {
			return err
		}
		removed = removed || err == nil
	}
	if removed { // and a power loss must not bring it back beside this one
		if err := syncPath(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return os.Rename(undo, path)
}

// nameBackup renames what holds the old database to its backup name, durably.
func (p *push) nameBackup(undo string) error {
	if err := nameBackup(undo, p.backupPath()); err != nil {
		p.report.BackupPath = undo
		return &failure{text: "swapped, but the old database could not be renamed to its backup name", cause: err,
			hint: "it is kept as " + undo + ", and gets its name before the next push"}
	}
	p.report.BackupPath = p.backupPath()
	if err := p.syncDir(); err != nil {
		return &failure{text: "swapped, but the backup's name may not survive a power loss", cause: err, kinds: []error{ErrDurabilityUnknown}}
	}
	return nil
}

func (p *push) backupPath() string { return sqlitefile.BackupPath(p.db.Path()) }
