//go:build !linux

package openers

import "os"

// Here reports whether this process has the file open; here, nobody can tell.
func Here(Inode) (bool, error) { return false, nil }

// Head returns nil: no descriptor is found here.
func Head(Inode, int) []byte { return nil }

// Reopen returns nil: no descriptor is found here.
func Reopen(Inode) (*os.File, error) { return nil, nil }

// LockedElsewhere knows of no lock: no descriptor is found here.
func LockedElsewhere(string, bool) (by Process, locked bool) { return Process{}, false }

// Locked can't tell.
func Locked(*os.File) (by Process, locked bool) { return Process{}, false }

// Unlinked finds nothing here.
func Unlinked(string) (descriptor string, found bool) { return "", false }

// Blindness returns "": here it is no surprise that nobody is seen.
func Blindness() string { return "" }

// Look sees nobody here.
func Look(Inode) (all []Process, preExec bool) { return nil, false }

// Has sees nobody here.
func Has(int, Inode) bool { return false }

// Writes can't tell.
func Writes(int, Inode) bool { return true }

// Behind is never so here.
func Behind(int, string) bool { return false }

// IsPreExec is never so here.
func IsPreExec(pid int) bool { return false }
