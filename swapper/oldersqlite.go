package swapper

import (
	"hotswap/internal/openers"
	"hotswap/internal/sqlitecode"
)

// warnOfOlderSQLite says which processes have the live database open with an SQLite that
// may lose pages of it. The push itself is not in danger: it has the file to itself, or
// holds SQLite's write lock, and its content is checked before.
func (p *push) warnOfOlderSQLite() {
	if !p.wal {
		return
	}
	file, _ := openers.InodeOf(p.target.path)
	for _, other := range openers.At(p.target.path) {
		if warning := sqlitecode.Of(other.PID).Warning(other.String()); warning != "" && openers.Writes(other.PID, file) {
			p.events.amiss(StepOlderSQLite, warning, nil)
		}
	}
}
