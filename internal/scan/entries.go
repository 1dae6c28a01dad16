package scan

import (
	"context"
	"errors"
)

// Entries is how many the index has whose tree has that root page.
func (o *File) Entries(ctx context.Context, root int64) (n int64, err error) {
	w := walk{File: o, ctx: ctx, index: true, visit: func([]byte) bool { n++; return true }}
	if !w.all(root) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return 0, errors.New("scan: not the tree of an index")
	}
	return n, nil
}
