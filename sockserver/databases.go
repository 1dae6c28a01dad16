package sockserver

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/livefile"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitecode"
	"hotswap/internal/sqlitefile"
)

// DatabaseInfo is one managed database.
type DatabaseInfo struct {
	// Path is the resolved real path.
	Path string `json:"path"`
	// Size is the size of the file in bytes, without that of its -wal; nil if
	// there is no file yet. WALSize is that of the -wal, 0 without one.
	Size    *int64 `json:"size,omitempty"`
	WALSize int64  `json:"wal_size"`
	// JournalMode is "wal" or "rollback", or JournalUnknown while no connection of the
	// program has the file open, since only through one can its header be read without
	// risk to its locks. Which kind of rollback journal it is depends on each connection.
	JournalMode string `json:"journal_mode"`
	// Open is false for a file that matches Config.DatabasePaths and that the
	// driver does not have open; Stats are zero then.
	Open bool `json:"open"`
	// Stats are the driver's counters.
	Stats driver.Stats `json:"stats"`
	// Holders are what a swap would wait for now, longest first. Holder.For counts from
	// when the driver first saw one, as driver.Database.Holders says.
	Holders []driver.Holder `json:"holders"`
	// LockedBy is another process that has the file locked, and so is what running calls
	// among the Holders may be waiting for; nil if none of them has run for a second, or no
	// such process is seen. Linux only.
	LockedBy *openers.Process `json:"locked_by,omitempty"`
	// OpenIn are the other processes that have the file open, as far as this one
	// may see. While there are any that are not peers, a push goes in place.
	OpenIn []Opener `json:"open_in"`
	// Peers are those other processes that have the file open through the driver, too,
	// and take part in its swaps or say why not: of a database that was asked for by
	// its path, and of one for which OpenIn is not empty. Those that the kernel hides
	// from this process, as in another container, are not in OpenIn.
	Peers []driver.Peer `json:"peers"`
	// Swaps are the latest ones, at most 32, oldest first.
	Swaps []driver.Swap `json:"swaps"`
	// Backup is the database that a push with the option backup replaced; nil if
	// there is none.
	Backup *BackupInfo `json:"backup"`
	// Commands are the pushes and pulls of it in progress, oldest first.
	Commands []CommandInfo `json:"commands"`
	// Warnings are for an operator: that the file is in memory only, say.
	Warnings []string `json:"warnings"`
}

// JournalUnknown is a journal mode that is not known.
const JournalUnknown = "unknown"

// Opener is a process that has a database's file open.
type Opener struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	// SQLite is the version of the SQLite that it runs, as "3.40.1", or the day of that
	// one's source, as "of 2022-12-28"; "" if it can't be told.
	SQLite string `json:"sqlite,omitempty"`
}

func (o Opener) String() string {
	text := openers.Process{PID: o.PID, Command: o.Command}.String()
	if o.SQLite != "" {
		text += " with SQLite " + printable.Line(o.SQLite)
	}
	return text
}

// openIn returns the processes that have the file at path open, and a warning of each
// whose SQLite may harm a database in WAL mode.
func openIn(path string) (list []Opener, warnings []string) {
	list = []Opener{}
	file, _ := openers.InodeOf(path)
	for _, p := range openers.At(path) {
		version := sqlitecode.Of(p.PID)
		list = append(list, Opener{p.PID, p.Command, version.String()})
		if warning := version.Warning(p.String()); warning != "" && openers.Writes(p.PID, file) {
			warnings = append(warnings, warning)
		}
	}
	return list, warnings
}

// serveDatabases is GET /v1/databases: all of them, or the one at path.
func (a *api) serveDatabases(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramPath, paramID)
	if err != nil {
		return err
	}
	var list []managed
	if q.Has(paramPath) {
		one, err := a.find(cmd.path)
		if err != nil {
			return err
		}
		list = []managed{one}
	} else if list, err = a.listManaged(); err != nil {
		return err
	}
	infos := make([]DatabaseInfo, len(list))
	for i, m := range list {
		infos[i] = describe(m)
		infos[i].Commands = a.program.running.of(m.path)
		if m.db != nil && (len(list) == 1 || len(infos[i].OpenIn) > 0) {
			infos[i].Peers = append(infos[i].Peers, m.db.Peers()...)
		}
	}
	return answerJSON(w, infos)
}

// describe examines a database without opening its file: closing any descriptor
// of it would drop the locks that SQLite holds on it in this process. It waits
// for no lock.
func describe(m managed) DatabaseInfo {
	info := DatabaseInfo{
		Path:        m.path,
		JournalMode: cmp.Or(livefile.JournalMode(m.path), JournalUnknown),
		Holders:     []driver.Holder{},
		Peers:       []driver.Peer{},
		Swaps:       []driver.Swap{},
		Backup:      backupOf(m.path),
		Warnings:    warnings(m.path),
	}
	var ofOpeners []string
	info.OpenIn, ofOpeners = openIn(m.path)
	if info.JournalMode == "wal" {
		number, _, source := sqlite3.Version()
		if own := sqlitecode.SourceID(number, source).Warning("the program"); own != "" {
			info.Warnings = append(info.Warnings, own)
		}
		info.Warnings = append(info.Warnings, ofOpeners...)
	}
	if stat, err := os.Stat(m.path); err == nil {
		size := stat.Size()
		info.Size = &size
	}
	info.WALSize = sqlitefile.WALSize(m.path)
	info.Warnings = append(info.Warnings, damageOf(m)...)
	if m.db != nil {
		info.Open = true
		info.Stats = m.db.Stats()
		info.Holders = append(info.Holders, m.db.Holders()...)
		info.LockedBy = lockedBy(info)
		info.Swaps = append(info.Swaps, m.db.LastSwaps()...)
		if lost := livefile.Lost(m.db); lost != nil {
			info.Warnings = append(info.Warnings, lost.Error())
		}
		if why := m.db.Warning(); why != "" {
			info.Warnings = append(info.Warnings, "another file was put at the path and is not used ("+why+"): move a whole database there with mv, or move this file away and push; a pull copies what the program serves; "+
				"until then the program keeps using the old file, which no longer has a name, or its calls fail if no connection has that open any more")
		}
	}
	for i, warning := range info.Warnings {
		info.Warnings[i] = printable.Path(warning, m.path)
	}
	return info
}

// lockedBy finds out whether another process's lock keeps the calls among the holders from
// going on. One that has the file locked for a moment only is not such a process.
func lockedBy(info DatabaseInfo) *openers.Process {
	waiting := func(h driver.Holder) bool { return h.Kind == driver.HoldCall && h.For >= time.Second }
	if !slices.ContainsFunc(info.Holders, waiting) {
		return nil
	}
	wal := info.JournalMode == "wal"
	before, locked := openers.LockedElsewhere(info.Path, wal)
	if !locked {
		return nil
	}
	time.Sleep(50 * time.Millisecond)
	by, locked := openers.LockedElsewhere(info.Path, wal)
	if !locked || by != before {
		return nil
	}
	return &by
}

// damageOf returns what is known of a damaged database, and what to do.
func damageOf(m managed) (list []string) {
	if fault := livefile.Unsound(m.path); fault != "" && (m.db == nil || m.db.Warning() == "") {
		list = append(list, "it is damaged: "+fault+"; push a sound copy, with --skip-schema-check if it can't be read, and --backup to keep what is there")
	}
	if m.db != nil {
		if met, at := m.db.Damage(); met != "" {
			list = append(list, fmt.Sprintf("a call failed at %s: %s; `hotswap cp --check --dry-run` to any file says what is damaged", at.Format(time.DateTime), met))
		}
	}
	return list
}

// VersionInfo has the versions of one end of the protocol.
type VersionInfo struct {
	// Version is the version of hotswap, or the revision it was built from.
	Version string `json:"version"`
	// Protocol grows with each endpoint, parameter and header.
	Protocol int    `json:"protocol"`
	Go       string `json:"go"`
	SQLite   string `json:"sqlite"`
	// PID is the process id.
	PID int `json:"pid"`
	// Fleet says whether the program shows a fleet.
	Fleet bool `json:"fleet,omitempty"`
}

// BuildVersion returns the versions of this process.
func BuildVersion() VersionInfo {
	sqliteVersion, _, _ := sqlite3.Version()
	return VersionInfo{
		Version:  moduleVersion(),
		Protocol: protocol,
		Go:       runtime.Version(),
		SQLite:   sqliteVersion,
		PID:      os.Getpid(),
	}
}

// protocol is the number of the protocol that this build speaks.
const protocol = 5

// modulePath is this module's, as a program that imports it knows it.
const modulePath = "hotswap"

func moduleVersion() string {
	const unknown = "(devel)"
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	if build.Main.Path != modulePath {
		for _, dep := range build.Deps {
			if dep.Path == modulePath && dep.Version != "" {
				return dep.Version
			}
		}
		return unknown
	}
	if build.Main.Version != "" && build.Main.Version != unknown {
		return build.Main.Version
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return unknown
}

func (a *api) serveVersion(w http.ResponseWriter, r *http.Request, _ *command) error {
	if _, err := parseQuery(r, paramID); err != nil {
		return err
	}
	return answerJSON(w, a.cfg.UI.version())
}
