package sockserver

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/swapper"
)

// lastPushes remembers, of each database, the push that made it what it is. It
// is kept in memory alone: after a restart every push goes through.
type lastPushes struct {
	mu     sync.Mutex // guards byPath
	byPath map[string]swapper.Report
}

// note remembers a push that was made, in whatever way it ended.
func (l *lastPushes) note(path string, report swapper.Report) {
	if !report.Swapped {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byPath == nil {
		l.byPath = map[string]swapper.Report{}
	}
	l.byPath[path] = report
}

// has reports whether the database is still what a push of those bytes made it.
func (l *lastPushes) has(path, sha256 string) bool {
	l.mu.Lock()
	last, ok := l.byPath[path]
	l.mu.Unlock()
	return ok && last.SHA256 == sha256 && last.Unwritten(path)
}

// unchanged answers a push with if_changed that would change nothing, before any
// of its body is read. answered is false if the push is to proceed.
func (a *api) unchanged(w http.ResponseWriter, r *http.Request, cmd *command, db *driver.Database, opts swapper.PushOptions) (answered bool, err error) {
	digest := r.URL.Query().Get(paramIfChanged)
	if digest == "" || !a.program.pushed.has(db.Path(), digest) {
		return false, nil
	}
	report := swapper.Report{
		Source: opts.Source, Target: db.Path(), Bytes: opts.Size, SHA256: digest, DryRun: opts.DryRun, Unchanged: true,
		GenerationBefore: db.Generation(), Generation: db.Generation(),
	}
	cmd.report = &report
	lognote.Send(cmd.log.Info().Str(fieldPath, db.Path()).Str(fieldDigest, digest), "unchanged: the last push had the same bytes")
	cmd.succeed(report, swapper.StepUnchanged)
	return true, answerJSON(w, report)
}

// digest reads a SHA-256 in hexadecimal.
func (q *query) digest(name string) string {
	text := q.Get(name)
	if sum, err := hex.DecodeString(text); text != "" && (err != nil || len(sum) != 32 || text != fmt.Sprintf("%x", sum)) {
		q.fail(name, "a SHA-256 in lower-case hexadecimal")
	}
	return text
}
