package fleet

import (
	"context"
	"os"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// plane is where orders come from, and where a node says how it is: *records.Records.
type plane interface {
	Made(ctx context.Context) (time.Time, error)
	Forget()
	WatchChannels(ctx context.Context, channels []string, node string, tell func(records.Change)) error
	WatchNodes(ctx context.Context, tell func(records.Change)) error
	Order(ctx context.Context, channel string) (*rollout.Order, records.Entry, error)
	Progress(ctx context.Context, channel string) (*rollout.Progress, records.Entry, error)
	Pin(ctx context.Context, channel, node string) (*rollout.Pin, records.Entry, error)
	SetOrder(ctx context.Context, o rollout.Order, over records.Entry) (records.Entry, error)
	Read(ctx context.Context) (*records.Everything, error)
	SetProgress(ctx context.Context, channel string, p rollout.Progress, over records.Entry) (records.Entry, error)
	DropWaves(ctx context.Context, channel string, of rollout.Progress) error
	PutNode(ctx context.Context, n records.Node, over records.Entry) (records.Entry, error)
	PutJoined(ctx context.Context, j records.Joined) error
	Node(ctx context.Context, node string) (*records.Node, error)
	DeleteNode(ctx context.Context, node string) error
	PutHaving(ctx context.Context, node, channel string, h records.Having, over records.Entry) (records.Entry, error)
	GetHaving(ctx context.Context, node, channel string) (*records.Having, records.Entry, error)
	Lease(ctx context.Context) (*records.Lease, records.Entry, error)
	TakeLease(ctx context.Context, l records.Lease) (records.Entry, error)
	RenewLease(ctx context.Context, l records.Lease, over records.Entry) (records.Entry, error)
	EndLease(ctx context.Context, held records.Entry) error
}

// store is where versions come from: *repository.Repository.
type store interface {
	Manifest(ctx context.Context, v repository.Version) (repository.Published, error)
	Claim(ctx context.Context, v repository.Version) (repository.Published, error)
	Confirm(ctx context.Context, v repository.Version, key string, revision uint64) (repository.Published, error)
	Versions(ctx context.Context, channel string) ([]repository.Published, error)
	Fetch(ctx context.Context, p repository.Published, dst *os.File, have []repository.Local, progress func(repository.Fetched)) error
}
