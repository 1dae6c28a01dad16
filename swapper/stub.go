package swapper

import (
	"context"
	"errors"
	"io"

	"hotswap/driver"
)

// Temporary: only the signatures are final.

func Push(ctx context.Context, db *driver.Database, src io.Reader, opts PushOptions) (Report, error) {
	return Report{}, errors.New("stub")
}

func Pull(ctx context.Context, db *driver.Database, dst io.Writer, opts PullOptions) (Report, error) {
	return Report{}, errors.New("stub")
}

// RemoveOrphans deletes what a killed process of ours left in dir.
func RemoveOrphans(path string) ([]string, error) { return nil, nil }
