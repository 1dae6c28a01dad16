package fleet

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// database is one that follows a channel.
type database struct {
	node    *Node
	channel string
	db      *driver.Database                  // nil in the measurement of the control plane alone
	work    func(context.Context, task) error // do, but for that measurement
	log     zerolog.Logger
	wake    chan struct{}

	mu    sync.Mutex // guards what follows
	view  view
	state records.Database
	// known is set once it was found out what is live, until something else swaps, and doubts
	// counts how often it was unset.
	known    bool
	doubts   int
	swapping bool // by the node itself
	foreign  bool // something else has swapped since the last look
	// lost is set while what is live is of an engine that was lost. lostUnder is the order
	// that the node found there then: it knows nothing of what is live.
	lost      bool
	lostUnder string
	// doubted is the tag for which it was looked whether the live version is the one that is
	// named, and ready that of the version that is prepared.
	doubted, ready string
	stuck          task   // the one that has failed last
	stays          string // why it has failed to follow the order although it could
	// asked is when Health was asked last, failedAt when the latest failure was, and sick
	// is set if that was one of Health's.
	asked, failedAt time.Time
	agreed          time.Time // when the call of Health began that succeeded last
	sick            bool
	swaps, failures uint64
	totalBytes      int64
	holds           bool      // it has a way back
	fetchSaid       time.Time // when it was last said how far a fetch is

	hooks hooks

	saying sync.Mutex // guards said
	said   said

	keeping sync.Mutex // guards kept
	kept    obeyed     // what the file has

	// What follows belongs to the task that runs.
	staged *staged
	tag    string // of the live database when it was swapped in, or last looked at
	before *before
	back   *wayBack // to that
	// witnessed is set once Health has succeeded since then.
	witnessed bool
	began     time.Time // of the last swap of the node's own
	seen      stamp     // of the live database when it was swapped in, or last looked at
	// noticed is when it was compared with that, and unfounded how often it was looked at
	// since a swap because of a stamp that differed.
	noticed   time.Time
	unfounded int
	// noticedUnder is the order that the node knew then, and blamed the one under which
	// something was written, if that was noticed by the stamp.
	noticedUnder, blamed string
	unsaid               *records.Having // what could not be written down yet
}

func newDatabase(n *Node, channel, path string) *database {
	d := &database{node: n, channel: channel, wake: make(chan struct{}, 1),
		log:   n.log.With().Str("channel", channel).Str("database", path).Logger(),
		view:  view{keys: n.cfg.trust, channel: channel, node: n.cfg.Node},
		state: records.Database{Path: path, Phase: records.Looking}, back: newBack(path),
		hooks: hooks{running: map[string]*call{}, long: n.changed}}
	if len(n.cfg.trust) > 0 {
		d.remember()
	}
	return d
}

func (d *database) version(number uint64) Version { return Version{d.channel, number} }

// dir is the database's directory.
func (d *database) dir() string { return filepath.Dir(d.db.Path()) }

// me is the node as a rollout sees it. What it refuses does not matter for what it obeys. d.mu
// is held.
func (d *database) me() rollout.Node {
	state := d.state.State
	state.Refused = nil
	return rollout.Node{Name: d.node.cfg.Node, Labels: d.node.cfg.Labels, State: state}
}

// rouse has the database think again.
func (d *database) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// current is how it stands.
func (d *database) current() records.Database {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// change changes how it stands, and has the node say so.
func (d *database) change(change func(*records.Database)) {
	d.mu.Lock()
	change(&d.state)
	d.mu.Unlock()
	d.node.changed()
}

// run does one task after another until Close.
func (d *database) run() {
	defer func() { d.setBack(newBack(d.state.Path)) }()
	defer d.discard()
	var now running
	var rest rests
	for {
		if now.done == nil {
			d.noticeWrites()
		}
		next, in := d.next()
		if now.done != nil && !now.serves(next) {
			now.end()
		}
		if now.done == nil && next.do != nothing {
			if left := rest.left(next); left > 0 {
				in = left
			} else {
				now = d.start(next)
			}
		}
		if now.done == nil {
			in = min(in, d.node.cfg.notice)
		}
		alarm := time.NewTimer(in)
		select {
		case <-d.wake:
		case <-alarm.C:
		case err := <-now.done:
			rest.ended(now.task, err)
			d.ended(now.task, err)
			now.cancel()
			now = running{}
		case <-d.node.ctx.Done():
			alarm.Stop()
			now.end()
			return
		}
		alarm.Stop()
	}
}

// swapped is told of each swap of the database, by whoever.
func (d *database) swapped(driver.Swap) {
	d.mu.Lock()
	if !d.swapping {
		d.foreign, d.lost = true, false
		d.doubt()
	}
	d.mu.Unlock()
	d.rouse()
}

// doubt has the node look anew at what is live, also if it is looking now. d.mu is held.
func (d *database) doubt() {
	d.known = false
	d.doubts++
}

// running is a task at work.
type running struct {
	task   task
	cancel context.CancelFunc
	done   chan error // nil if there is none
}

func (d *database) start(t task) running {
	ctx, cancel := context.WithCancel(d.node.ctx)
	r := running{t, cancel, make(chan error, 1)}
	go func() { r.done <- d.work(ctx, t) }()
	return r
}

// serves reports whether the task does what is to be done now: one that prepares a version
// is let finish before that is swapped in.
func (r *running) serves(next task) bool {
	return r.task == next || r.task.do == prepare && next.do == bring && r.task.version == next.version
}

// end stops it, and returns once it has.
func (r *running) end() {
	if r.done != nil {
		r.cancel()
		<-r.done
		*r = running{}
	}
}

// rests keeps a task that has failed from being done again at once.
type rests struct {
	task  task
	pause time.Duration
	till  time.Time
}

func (r *rests) left(t task) time.Duration {
	if t != r.task {
		return 0
	}
	return time.Until(r.till)
}

func (r *rests) ended(t task, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		*r = rests{}
		return
	}
	if t != r.task {
		*r = rests{task: t, pause: 100 * time.Millisecond}
	}
	r.pause = min(2*r.pause, 15*time.Second)
	r.till = time.Now().Add(r.pause)
}
