package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/engine"
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
	engine   *engine.Engine // nil in tests
	open     func(context.Context) (plane, store, error)

	databases map[string]*database
	releases  []func()

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	dirty chan struct{} // something is to be said

	mu         sync.Mutex // guards what follows
	plane      plane      // nil until the engine was reached
	store      store
	away       string // why the engine is not reached, "" if it is
	twin       string // another program of this name
	controller bool

	lease leases
}

// Join makes the program a node. It does not wait for the engine, and fails only if the
// configuration is wrong or a database can't be managed. ctx is for Join alone.
func Join(ctx context.Context, cfg Config) (*Node, error) {
	trust, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	e, err := engine.Connect(ctx, cfg.connection())
	if err != nil {
		return nil, fmt.Errorf("fleet: join as %s: %w", cfg.Node, err)
	}
	n, err := join(cfg, e, func(ctx context.Context) (plane, store, error) {
		if !e.Conn().IsConnected() {
			return nil, nil, e.Explain("connect", cmp.Or(e.Conn().LastError(), nats.ErrNoServers))
		}
		recs, err := records.Open(ctx, e)
		if err != nil {
			return nil, nil, err
		}
		repo, err := repository.Open(ctx, e, trust)
		return recs, repo, err
	})
	if err != nil {
		e.Close()
		return nil, err
	}
	return n, nil
}

// join starts a node whose engine, nil in tests, is reached through open.
func join(cfg Config, e *engine.Engine, open func(context.Context) (plane, store, error)) (_ *Node, err error) {
	n := &Node{cfg: cfg, instance: rand.Text()[:12], engine: e, open: open, databases: map[string]*database{},
		dirty: make(chan struct{}, 1), away: "not connected yet"}
	n.log = cfg.Logger.With().Str("node", cfg.Node).Logger()
	n.host, _ = os.Hostname()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.release()
			n.cancel()
		}
	}()
	for channel, path := range cfg.Databases {
		db, release, err := driver.Manage(path)
		if err != nil {
			return nil, fmt.Errorf("fleet: join as %s: the database of %s: %w", cfg.Node, channel, err)
		}
		n.releases = append(n.releases, release)
		orphans, err := swapper.RemoveOrphans(db.Path())
		if err != nil {
			n.log.Warn().Err(err).Str("database", db.Path()).Msg("what a killed program has left can't be removed")
		}
		orphans.Log(n.log, db.Path())
		n.databases[channel] = newDatabase(n, channel, db)
	}
	n.done.Go(n.run)
	return n, nil
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
	work.Go(func() { n.again("watch for the node's name", n.watchName) })
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
			n.log.Warn().Err(err).Msgf("%s: tried again", what)
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

// resync is how long a watch is believed without beginning anew.
const resync = time.Minute

// watchOrders tells the databases what changes. It begins anew now and then, in case that a
// watch has gone quiet, and what it then tells again is known already.
func (n *Node) watchOrders(ctx context.Context) error {
	ctx, cancel := n.forWatch(ctx, resync)
	defer cancel()
	channels := slices.Sorted(maps.Keys(n.databases))
	err := n.planeNow().WatchChannels(ctx, channels, n.cfg.Node, func(c records.Change) {
		n.setAway(nil)
		if c.Kind == records.TheLease {
			n.lease.saw(c)
		}
		for _, d := range n.databases {
			d.tell(c)
		}
	})
	return n.watchEnded(ctx, err)
}

// forWatch is a context that ends in a while, and when the connection is back after it was
// lost: then a watch begins anew at once, which would notice only seconds later.
func (n *Node) forWatch(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, while)
	if n.engine == nil {
		return ctx, cancel
	}
	conn := n.engine.Conn()
	back := conn.StatusChanged(nats.CONNECTED)
	n.done.Go(func() {
		defer cancel()
		defer conn.RemoveStatusListener(back)
		select {
		case <-back:
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// watchEnded is the error of a watch, but for the end of its time.
func (n *Node) watchEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	n.setAway(err)
	return err
}

// watchName looks whether another program says that it is this node.
func (n *Node) watchName(ctx context.Context) error {
	ctx, cancel := n.forWatch(ctx, resync)
	defer cancel()
	caught, times := false, map[string]int{}
	err := n.planeNow().WatchNodes(ctx, func(c records.Change) {
		if c.Kind == records.Caught {
			caught = true // what is there may be of the run before
		}
		if c.Record == nil || c.Record.Instance == n.instance || !caught {
			return
		}
		if times[c.Record.Instance]++; times[c.Record.Instance] == 2 {
			twin := fmt.Sprintf("process %d on %s", c.Record.PID, c.Record.Host)
			n.log.Error().Str("other", twin).Msg("another program has joined under this node's name: give each its own")
			n.mu.Lock()
			n.twin = twin
			n.mu.Unlock()
			n.changed()
		}
	}, n.cfg.Node)
	n.mu.Lock()
	if len(times) == 0 {
		n.twin = ""
	}
	n.mu.Unlock()
	return n.watchEnded(ctx, err)
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
// are, and in use. A swap that has begun is finished.
func (n *Node) Close() error {
	n.cancel()
	n.done.Wait()
	if plane := n.planeNow(); plane != nil && n.connected() {
		ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
		if err := plane.DeleteNode(ctx, n.cfg.Node); err != nil {
			n.log.Debug().Err(err).Msg("the engine was not told that the node has left")
		}
		cancel()
	}
	n.release()
	n.releases = nil
	if n.engine != nil {
		n.engine.Close()
	}
	return nil
}

// connected reports whether the engine is connected now.
func (n *Node) connected() bool { return n.engine == nil || n.engine.Conn().IsConnected() }
