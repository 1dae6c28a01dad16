package sqlitefile

import (
	"context"
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// Backup copies the main database of src over that of dst by SQLite's backup API, so
// many pages in a step. Between steps it looks at ctx, and calls progress, unless that
// is nil, with the pages that are copied and their total. In a transaction of src that
// has read already all steps copy one snapshot; else each write of another connection
// starts the copy over.
func Backup(ctx context.Context, dst, src *sqlite3.SQLiteConn, pages int, progress func(done, total int64)) (err error) {
	b, err := dst.Backup("main", src, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := b.Step(pages)
		if err != nil {
			return err
		}
		if total := int64(b.PageCount()); progress != nil {
			progress(total-int64(b.Remaining()), total)
		}
		if done {
			return nil
		}
	}
}
