package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/engine"
	"hotswap/internal/fleetpage"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/swapper"
)

// Node is a program in a fleet, from Join to Close. Its methods may be called from any
// goroutine.
type Node struct {
	cfg      Config
	log      zerolog.Logger
	instance string
	host     string
	engine   *engine.Engine

	databases map[string]*database
	releases  []func()

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	dirty chan struct{} // something is to be said

	// Of watchOrders alone: when what the engine tells was made; whether it has told less than it
	// had told before; and while it is doubted, what the node had when that began.
	made  time.Time
	doubt bool
	had   map[*database]records.Having

	mu         sync.Mutex // guards what follows
	plane      plane      // nil until the engine was reached
	store      store
	away       string // why the engine tells nothing, "" if it does
	mute       string // why the engine takes nothing, "" if it does
	twin       string // another program of this name
	controller bool
	page       *fleetpage.Fleet // once somebody has looked

	spoke  atomic.Pointer[time.Time] // when it last said something that the engine has taken
	phases phases
	peers  atomic.Int64 // how many nodes answer, as the controller counts them
}

// Join makes the program a node. It does not wait for the engine, and fails only if the
// configuration is wrong or a database can't be managed. ctx is for Join alone.
func Join(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	e, err := engine.Connect(ctx, cfg.connection())
	if err != nil {
		return nil, fmt.Errorf("fleet: join as %s: %w", cfg.Node, err)
	}
	n := newNode(cfg, e)
	for channel, path := range cfg.Databases {
		if err := n.manage(channel, path); err != nil {
			n.release()
			n.cancel()
			e.Close()
			return nil, fmt.Errorf("fleet: join as %s: the database of %s: %w", cfg.Node, channel, err)
		}
	}
	n.done.Go(n.run)
	return n, nil
}

// newNode is a node that has no databases yet, and does not run.
func newNode(cfg Config, e *engine.Engine) *Node {
	n := &Node{cfg: cfg, instance: rand.Text()[:12], engine: e, databases: map[string]*database{},
		dirty: make(chan struct{}, 1), away: "not connected yet"}
	n.log = cfg.Logger.With().Str("node", cfg.Node).Logger()
	n.host, _ = os.Hostname()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// manage adds a database.
func (n *Node) manage(channel, path string) error {
	db, release, err := driver.Manage(path)
	if err != nil {
		return err
	}
	for other, d := range n.databases {
		if d.db == db { // by another path
			release()
			return fmt.Errorf("%w: the channel %s has it already", ErrConfig, other)
		}
	}
	claimed, err := claimDatabase(db.Path(), n.cfg.Node)
	switch {
	case errors.Is(err, errClaimed):
		release()
		return err
	case err != nil:
		n.log.Warn().Err(err).Str("database", db.Path()).Msg("whether another node has this database is not known")
	default:
		n.releases = append(n.releases, claimed.release)
	}
	orphans, err := swapper.RemoveOrphans(db.Path())
	if err != nil {
		n.log.Warn().Err(err).Str("database", db.Path()).Msg("what a killed program has left can't be removed")
	}
	orphans.Log(n.log, db.Path())
	d := newDatabase(n, channel, db.Path())
	d.db, d.work = db, d.do
	n.releases = append(n.releases, db.OnSwap(d.swapped), release)
	n.databases[channel] = d
	return nil
}

func (n *Node) release() {
	for _, release := range n.releases {
		release()
	}
}

// run works until Close.
func (n *Node) run() {
	if !n.connect() {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	for _, d := range n.databases {
		work.Go(d.run)
	}
	work.Go(n.report)
	work.Go(func() { n.again("watch for orders", n.watchOrders) })
	work.Go(n.control)
}

// connect opens the records and the repository, as often as it takes.
func (n *Node) connect() bool {
	ok := false
	n.again("reach the engine", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		plane, store, err := n.open(ctx)
		if err != nil {
			n.setAway(err)
			return err
		}
		n.mu.Lock()
		n.plane, n.store, n.away = plane, store, ""
		n.mu.Unlock()
		n.log.Info().Msg("reached the engine")
		ok = true
		return errEnough
	})
	return ok
}

// open opens the records and the repository.
func (n *Node) open(ctx context.Context) (plane, store, error) {
	conn := n.engine.Conn()
	if !conn.IsConnected() {
		return nil, nil, n.engine.Explain("connect", cmp.Or(conn.LastError(), nats.ErrNoServers))
	}
	recs, err := records.Open(ctx, n.engine)
	if err != nil {
		return nil, nil, err
	}
	repo, err := repository.Open(ctx, n.engine, n.cfg.trust)
	return recs, repo, err
}

// errEnough ends again.
var errEnough = errors.New("enough")

// again does something until Close, or until it returns errEnough; with a rest in between
// that grows as long as it fails at once.
func (n *Node) again(what string, do func(context.Context) error) { n.againUntil(n.ctx, what, do) }

// againUntil is again until ctx ends.
func (n *Node) againUntil(ctx context.Context, what string, do func(context.Context) error) {
	const least, most = 200 * time.Millisecond, 5 * time.Second
	rest := least
	said := ""
	for ctx.Err() == nil {
		began := time.Now()
		err := do(ctx)
		if errors.Is(err, errEnough) {
			return
		}
		if time.Since(began) > most || !n.connected() {
			rest = least
		}
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			n.log.Warn().Err(err).Msgf("%s: failed, and will be tried again", what)
		}
		sleep(ctx, rest)
		rest = min(2*rest, most)
	}
}

// sleep rests until ctx ends at the latest.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (n *Node) planeNow() plane {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.plane
}

func (n *Node) storeNow() store {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.store
}

func (n *Node) setAway(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = ""
	if err != nil {
		n.away = err.Error()
	}
}

func (n *Node) setMute(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute = ""
	if err != nil {
		n.mute = err.Error()
	}
}

// changed has the node say how it is.
func (n *Node) changed() {
	select {
	case n.dirty <- struct{}{}:
	default:
	}
}

// leavePatience is how long Close tries to say that the node has left.
const leavePatience = time.Second

// Close leaves the fleet: what was prepared is discarded, and the databases stay as they
// are, and in use. A swap that has begun is finished, for whose OnSwap callbacks Close waits for 30 s; for
// Validate and Health, whose contexts it ends, it waits for five. The error names one of them that has not
// returned by then; the node has left all the same.
func (n *Node) Close() error {
	n.cancel()
	n.done.Wait()
	hangs := n.left()
	if plane := n.planeNow(); plane != nil && n.connected() {
		ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
		if err := plane.DeleteNode(ctx, n.cfg.Node); err != nil {
			n.log.Debug().Err(err).Msg("the engine was not told that the node has left")
		}
		cancel()
	}
	n.release()
	n.releases = nil
	n.engine.Close()
	return hangs
}

// connected reports whether the engine is connected now.
func (n *Node) connected() bool { return n.engine.Conn().IsConnected() }
