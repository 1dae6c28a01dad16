package swapper

import (
	"errors"
	"io/fs"
	"os"

	"hotswap/internal/backups"
	"hotswap/internal/sqlitefile"
)

// aside is what the sidecars of a database that can't be read are called until
// their place is beside its backup. No recovery takes that for its own.
func (r *replacement) aside(suffix string) string {
	return backups.SimplePath(r.target.path + suffix)
}

// setAside takes the sidecars of an unread live database from their place, where
// they would be replayed into the new file: SQLite could not bring what they hold
// into the old one. Nobody has that open, the lease says; without one somebody may.
func (r *replacement) setAside() error {
	if r.push.unread == nil || r.guard == nil || !r.guard.leased {
		return nil
	}
	for _, suffix := range sqlitefile.Sidecars {
		name := r.target.path + suffix
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			continue // see target.clearSidecars
		}
		if r.push.opts.Backup && suffix != "-shm" {
			if _, err := os.Lstat(r.aside(suffix)); err == nil {
				return &failure{text: r.aside(suffix) + " is left over from an earlier push", kinds: []error{ErrTarget}, hint: "move it away and try again"}
			}
			if err := os.Rename(name, r.aside(suffix)); err != nil {
				return failed("set "+name+" aside", err)
			}
			r.asides = append(r.asides, suffix)
		} else if err := os.Remove(name); err != nil {
			return failed("remove "+name, err)
		}
	}
	return nil
}

// keepAside puts what was set aside beside the backup, once that has its name.
func (r *replacement) keepAside() (err error) {
	for _, suffix := range r.asides {
		cause := errors.New("the backup has another name")
		if r.push.named {
			cause = os.Rename(r.aside(suffix), r.push.report.BackupPath+suffix)
		}
		if cause != nil {
			err = errors.Join(err, &failure{text: "swapped, but the old database's log could not be moved beside its backup", cause: cause,
				hint: "the log is kept as " + r.aside(suffix)})
		}
	}
	if len(r.asides) > 0 && err == nil {
		err = r.target.syncDir()
	}
	r.asides = nil
	return err
}

// putBack puts back what was set aside for a replacement that was not made.
func (r *replacement) putBack() (err error) {
	for _, suffix := range r.asides {
		name := r.target.path + suffix
		if _, statErr := os.Lstat(name); errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, os.Rename(r.aside(suffix), name))
		}
	}
	r.asides = nil
	if err != nil {
		return failed("put back what was beside the live database", err)
	}
	return nil
}
