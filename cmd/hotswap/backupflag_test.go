package main

import (
	"testing"

	"hotswap/internal/backups"
)

// TestNoBackupIsAskedFor: what a program keeps of itself is only its own to decide where
// the flag is left out.
func TestNoBackupIsAskedFor(t *testing.T) {
	for kind, want := range map[backups.Kind]bool{"": false, backups.None: true, backups.Simple: false, backups.Numbered: false} {
		if p := (&cpCmd{Backup: backupFlag(kind)}).pushParams(&source{}); p.NoBackup != want {
			t.Errorf("--backup=%s: %t", kind, p.NoBackup)
		}
	}
}
