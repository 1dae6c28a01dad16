package swapper

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"unicode/utf8"

	"hotswap/internal/backups"
)

// beside is the name of an operation's file beside its database: hidden, so that
// no glob for databases takes it for one, and by what it says recovery knows, when
// the process was killed, what the file is (see RemoveOrphans):
//
//	.NAME.hotswap-ID.stage            a new file, not complete or not live
//	.NAME.hotswap-ID.pull             a snapshot
//	.NAME.hotswap-ID.undo-NEW-OLD     the new file, and once the names are exchanged
//	                                  the old one; told apart by their inode numbers
//	.NAME.hotswap-ID.backup-NEW-OLD   the same, and the old one is to be kept
//	.NAME.hotswap-ID.number-NEW-OLD   the same, as a numbered backup
//	.NAME.hotswap-ID.copy-COOKIE-LIVE a copy of what is overwritten in place, to be
//	                                  kept if that was committed: then the schema
//	                                  cookie of the live file is another one
//	.NAME.hotswap-ID.ncopy-COOKIE-LIVE the same, as a numbered backup
//
// Numbers are hexadecimal.
type beside struct {
	id   string
	kind string
	a, b uint64 // the numbers of those kinds that have them
}

const (
	kindStage  = "stage"
	kindPull   = "pull"
	kindUndo   = "undo"
	kindBackup = "backup"
	kindNumber = "number"
	kindCopy   = "copy"
	kindNCopy  = "ncopy"
)

// hasNumbers reports whether a and b are part of the name.
func (b beside) hasNumbers() bool { return b.kind != kindStage && b.kind != kindPull }

// wanted is how what the file holds is to be named as a backup; backups.None if it is not.
func (b beside) wanted() backups.Kind {
	switch b.kind {
	case kindBackup, kindCopy:
		return backups.Simple
	case kindNumber, kindNCopy:
		return backups.Numbered
	}
	return backups.None
}

// path names the file beside the database at live.
func (b beside) path(live string) string {
	name := besidePrefix(filepath.Base(live)) + b.id + "." + b.kind
	if b.hasNumbers() {
		name += fmt.Sprintf("-%x-%x", b.a, b.b)
	}
	return filepath.Join(filepath.Dir(live), name)
}

const (
	longestName = 255 // NAME_MAX of the usual file systems, in bytes
	// longestEnd is what may follow a database's name: what besidePrefix and path
	// put there, and a sidecar's suffix.
	longestEnd = len(".hotswap-XXXXXXXXXXXX.backup-ffffffffffffffff-ffffffffffffffff-journal")
)

// besidePrefix is what the names of all files beside the database called base
// begin with, and those of no other database's. A name that is too long to have
// more appended is shortened, and a digest distinguishes it from others that begin the
// same; the underscore keeps it apart from a database that has this very name.
func besidePrefix(base string) string {
	if len(".")+len(base)+longestEnd <= longestName {
		return "." + base + ".hotswap-"
	}
	sum := sha256.Sum256([]byte(base))
	digest := base32.StdEncoding.EncodeToString(sum[:])[:26]
	return "." + shorten(base, 64) + "." + digest + ".hotswap_"
}

// shorten truncates a name to n bytes at most, between two characters.
func shorten(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

var besideName = regexp.MustCompile(`(?s)^(\..+\.hotswap[-_])([A-Z2-7]{12})\.(?:(stage|pull|undo)|(undo|backup|number|copy|ncopy)-([0-9a-f]{1,16})-([0-9a-f]{1,16}))$`)

// parseBeside parses the name of an operation's file; false if it is none. The prefix is
// besidePrefix of its database. An undo without numbers is an earlier version's.
func parseBeside(name string) (prefix string, b beside, ok bool) {
	m := besideName.FindStringSubmatch(name)
	if m == nil {
		return "", b, false
	}
	b.id, b.kind = m[2], m[3]+m[4]
	if m[4] != "" {
		b.a, _ = strconv.ParseUint(m[5], 16, 64)
		b.b, _ = strconv.ParseUint(m[6], 16, 64)
	}
	return m[1], b, true
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
