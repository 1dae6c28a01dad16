package sockserver

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"hotswap/internal/fileid"
	"hotswap/internal/statetag"
	"hotswap/swapper"
)

// serveBackups is GET /v1/backups: what pushes have kept of the database.
func (a *api) serveBackups(w http.ResponseWriter, r *http.Request, cmd *command) error {
	q, err := parseQuery(r, paramPath, paramID, paramTags)
	if err != nil {
		return err
	}
	tags := q.boolean(paramTags)
	if q.err != nil {
		return q.err
	}
	found, err := a.find(cmd.path)
	if err != nil {
		return err
	}
	all, err := swapper.Backups(found.path)
	if err != nil {
		return err
	}
	for i := range all {
		if tags {
			if all[i].Tag, err = a.program.tags.of(r.Context(), all[i]); err != nil {
				return err
			}
		}
	}
	return answerJSON(w, all)
}

// backupTags remembers the tags of backups: to compute one takes reading all of it.
type backupTags struct {
	mu    sync.Mutex // guards known
	known map[taggedFile]string
}

// taggedFile is a backup as it was when it was read.
type taggedFile struct {
	id       fileid.ID
	size     int64
	modified time.Time
}

// of returns the tag of a backup, "" if it has none: it is gone by now, is open in the
// program, or has a log beside it.
func (t *backupTags) of(ctx context.Context, b swapper.Backup) (string, error) {
	source, err := openBackup(b.Path) // before anything is remembered: a log may be beside it by now
	if err != nil {
		return "", nil
	}
	defer source.Close()
	file := taggedFile{fileid.Of(b.Path), source.info.Size(), source.info.ModTime()}
	t.mu.Lock()
	tag := t.known[file]
	t.mu.Unlock()
	if tag != "" {
		return tag, nil
	}
	if err = source.open(); err == nil {
		tag, err = statetag.Of(ctx, source.file, source.info.Size())
	}
	if ctx.Err() != nil {
		return "", causeOf(ctx, ctx.Err())
	}
	if err != nil {
		return "", nil // it is being replaced, say
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTags {
		t.known = map[taggedFile]string{}
	}
	t.known[file] = tag
	return tag, nil
}

// maxTags bounds how many are remembered.
const maxTags = 1000

// by says who the client is, for the record of a backup.
func (c CommandInfo) by() string {
	if c.UID == nil {
		return ""
	}
	if c.Command == "" {
		return fmt.Sprintf("uid %d", *c.UID)
	}
	return fmt.Sprintf("uid %d (%s, pid %d)", *c.UID, c.Command, c.PID)
}
