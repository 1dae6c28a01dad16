package testapp

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"hotswap/driver"

	"github.com/rs/zerolog"
)

// Config is a service's settings. Only Path is needed.
type Config struct {
	// Path is the database. It is created if it does not exist, and the
	// service's tables are added if it lacks them.
	Path string
	// Driver is the name of a driver registered with database/sql; "" means
	// [driver.Name]. It must be one of hotswap's.
	Driver string
	// JournalMode is set on each connection, as a program would; "" leaves the
	// database's.
	JournalMode string
	// Addr is the TCP address of the HTTP server; "" means a free port of
	// 127.0.0.1.
	Addr string
	// WriteConns is how many connections write at once, beside the pinned one;
	// 0 means 2. SQLite lets one through at a time; the others wait for it.
	WriteConns int
	// Interval is how long each worker rests between two rounds; 0 means 5 ms.
	Interval time.Duration
	// JobsElsewhere leaves the job queue to another process, which calls Work.
	JobsElsewhere bool
	// Samples is how many latencies the Meter keeps; 0 means 65536.
	Samples int
	// History, if set, records every call. It grows as long as the service
	// runs.
	History *History
	// Socket, if set, serves hotswap's socket in the same process.
	Socket *Socket
	// Logger gets what the service has to say; the zero value is silent.
	Logger zerolog.Logger
}

// readConns is how many connections the read pool keeps open when idle.
const readConns = 8

// busyTimeout is how long SQLite waits for another connection's lock, in ms.
const busyTimeout = "30000"

// Service is a running service. Its methods are safe for concurrent use.
type Service struct {
	cfg      Config
	log      zerolog.Logger
	instance string // tells this run's claims from those of another

	db    *driver.Database
	store store
	cache *Cache
	meter *Meter

	listener net.Listener
	server   *http.Server

	// stopping ends when the workers and the load are to begin no more calls;
	// calls ends when those under way are given up.
	stopping, calls context.Context
	stop, giveUp    context.CancelFunc
	workers         sync.WaitGroup
	serving         sync.WaitGroup // the HTTP server
	jobsGone        atomic.Int64

	// closers undo what Start did, the last one first.
	closers []func() error
}

// Start opens the database and serves until Close. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (_ *Service, err error) {
	s := newService(ctx, cfg)
	defer func() {
		if err != nil {
			err = fmt.Errorf("start the service on %s: %w", cfg.Path, errors.Join(err, s.shutdown(ctx)))
		}
	}()
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	// The worker that holds a connection for ever takes it before the handlers
	// can take them all.
	pinned, err := s.store.rw.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s.onClose(pinned.Close)
	if err := s.startSocket(); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	if !cfg.JobsElsewhere {
		s.workers.Go(func() { s.runJobs(s.calls) })
	}
	s.workers.Go(func() { s.runPinned(s.calls, pinned) })
	s.workers.Go(func() { s.runNested(s.calls) })
	s.log.Info().Str("url", s.URL()).Str("database", s.db.Path()).Msg("service started")
	return s, nil
}

func newService(ctx context.Context, cfg Config) *Service {
	cfg.Driver = cmp.Or(cfg.Driver, driver.Name)
	cfg.Addr = cmp.Or(cfg.Addr, "127.0.0.1:0")
	cfg.WriteConns = cmp.Or(cfg.WriteConns, 2)
	cfg.Interval = cmp.Or(cfg.Interval, 5*time.Millisecond)
	cfg.Samples = cmp.Or(cfg.Samples, 1<<16)
	s := &Service{cfg: cfg, log: cfg.Logger, instance: rand.Text(), meter: newMeter(cfg.Samples)}
	s.stopping, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.calls, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

func (s *Service) onClose(fn func() error) { s.closers = append(s.closers, fn) }

// openStore opens the pools, adds the tables and prepares the statement.
func (s *Service) openStore(ctx context.Context) (err error) {
	params := url.Values{"_busy_timeout": {busyTimeout}, "_synchronous": {"NORMAL"}}
	if s.cfg.JournalMode != "" {
		params.Set("_journal_mode", s.cfg.JournalMode)
	}
	open := func(key, value string) (*sql.DB, error) {
		p := url.Values{key: {value}}
		maps.Copy(p, params)
		db, err := sql.Open(s.cfg.Driver, dsn(s.cfg.Path, p))
		if err == nil {
			s.onClose(db.Close)
		}
		return db, err
	}
	if s.store.rw, err = open("_txlock", "immediate"); err != nil {
		return err
	}
	s.store.rw.SetMaxOpenConns(s.cfg.WriteConns + 1)
	s.store.rw.SetMaxIdleConns(s.cfg.WriteConns + 1)
	if err := ensureSchema(ctx, s.store.rw, 1); err != nil {
		return err
	}
	if s.store.ro, err = open("_query_only", "true"); err != nil {
		return err
	}
	// No limit on open connections: loops that hold one each and want another
	// would wait for each other.
	s.store.ro.SetMaxIdleConns(readConns)
	var mode string
	if err := s.store.ro.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return err
	}
	s.store.nestInTx = mode != "wal"
	if s.store.st, err = s.store.ro.PrepareContext(ctx, readAllStamps); err != nil {
		return err
	}
	s.onClose(s.store.st.Close)
	db, ok := driver.Lookup(s.cfg.Path)
	if !ok {
		return errors.New("the database is not managed: open it with hotswap's driver")
	}
	s.db = db
	cache, cancel := newCache(db)
	s.cache = cache
	s.onClose(func() error { cancel(); return nil })
	return nil
}

// listen starts the HTTP server.
func (s *Service) listen() error {
	l, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return err
	}
	s.listener = l
	s.server = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.calls },
	}
	s.serving.Go(func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error().Err(err).Msg("http server stopped")
		}
	})
	return nil
}

// StopWorkers ends the workers' rounds, and those of the loads, and waits for
// the workers. The handlers go on serving; the database changes no more unless
// they are asked to. It may be called more than once.
func (s *Service) StopWorkers() {
	s.stop()
	s.workers.Wait()
}

// Close stops the workers and the servers and closes the database. It waits
// for the calls under way until ctx ends, and then gives them up. Loads must
// have been stopped before. It may be called once.
func (s *Service) Close(ctx context.Context) error {
	if err := s.shutdown(ctx); err != nil {
		return fmt.Errorf("close the service on %s: %w", s.cfg.Path, err)
	}
	s.log.Info().Msg("service closed")
	return nil
}

// shutdown undoes as much of Start as was done.
func (s *Service) shutdown(ctx context.Context) error {
	s.stop()
	defer context.AfterFunc(ctx, s.giveUp)()
	defer s.giveUp()
	var errs []error
	if s.server != nil {
		if err := s.server.Shutdown(ctx); err != nil {
			errs = append(errs, err, s.server.Close())
		}
	}
	s.workers.Wait()
	s.serving.Wait()
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// URL is the address of the HTTP server, such as "http://127.0.0.1:40123".
func (s *Service) URL() string { return "http://" + s.listener.Addr().String() }

// Database is the managed database that the service serves.
func (s *Service) Database() *driver.Database { return s.db }

// Meter counts the calls of the workers and of the loads.
func (s *Service) Meter() *Meter { return s.meter }

// Cache is the service's cache.
func (s *Service) Cache() *Cache { return s.cache }

// ReadPool and WritePool are the service's pools, for tests that hold a
// connection of their own.
func (s *Service) ReadPool() *sql.DB  { return s.store.ro }
func (s *Service) WritePool() *sql.DB { return s.store.rw }
