// Package embedded runs the engine, a NATS server with JetStream, within a process: that of
// `hotswap fleet serve`, or of a test. What only connects does not import it.
package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/unix"
)

// Config is how the server is run.
type Config struct {
	Dir    string // what it stores
	Listen string // host, "" for 127.0.0.1
	Port   int    // 0 for 4222, -1 for any free one
	// File is a configuration of nats-server's, for TLS, accounts or a cluster; what is said above
	// goes before it.
	File string
	// MaxStore is how many bytes it may store; 0 for what the disk has, as the server reckons.
	MaxStore int64
	// Lax syncs every two minutes instead of before each acknowledgement: for tests.
	Lax bool
	// Adjust, if set, may change what is not named here.
	Adjust func(*server.Options)
	// Log, if set, gets what the server says.
	Log server.Logger
}

// Server is a server that runs.
type Server struct {
	*server.Server
	dir *os.File
}

// ErrTaken: another server listens where one is to. ErrInUse: another one stores where it is
// to: the two would overwrite what the other has acknowledged.
var (
	ErrTaken = errors.New("another server listens there already")
	ErrInUse = errors.New("another engine runs on that directory")
)

// readyPatience is how long it may take to serve, after a crash with a large store, too.
const readyPatience = 60 * time.Second

// Start starts a server, and returns when it takes connections.
func Start(c Config) (*Server, error) {
	opts := &server.Options{}
	if c.File != "" {
		var err error
		if opts, err = server.ProcessConfigFile(c.File); err != nil {
			return nil, fmt.Errorf("read the engine's configuration: %w", err)
		}
	}
	if c.Dir != "" {
		opts.StoreDir = c.Dir
	}
	if opts.StoreDir == "" {
		return nil, errors.New("the engine has no directory to store in")
	}
	opts.JetStream, opts.NoSigs = true, true
	opts.Host = cmp.Or(c.Listen, opts.Host, "127.0.0.1")
	opts.Port = cmp.Or(c.Port, opts.Port, server.DEFAULT_PORT)
	opts.JetStreamMaxStore = cmp.Or(c.MaxStore, opts.JetStreamMaxStore)
	opts.SyncAlways = !c.Lax
	opts.NoLog = c.Log == nil
	if c.Adjust != nil {
		c.Adjust(opts)
	}
	if opts.Port > 0 {
		// The server itself would say it in its log, and be waited for in vain.
		address := net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port))
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			conn.Close()
			return nil, fmt.Errorf("start the engine: %w: %s", ErrTaken, address)
		}
	}
	var err error
	if opts.StoreDir, err = filepath.Abs(opts.StoreDir); err != nil {
		return nil, err
	}
	dir, err := lock(opts.StoreDir)
	if err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		unlock(dir)
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	if c.Log != nil {
		s.SetLoggerV2(c.Log, false, false, false)
	}
	s.Start()
	started := &Server{s, dir}
	if !s.ReadyForConnections(readyPatience) {
		started.Stop()
		return nil, fmt.Errorf("start the engine: it takes no connections at %s:%d; see its log", opts.Host, opts.Port)
	}
	if !s.JetStreamEnabled() {
		started.Stop()
		return nil, fmt.Errorf("start the engine: JetStream could not be enabled on %s; see its log", opts.StoreDir)
	}
	return started, nil
}

// lock makes a directory the one of this server, which nats-server itself does not: until
// unlock, or the end of the process.
func lock(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the engine's directory: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the engine's directory: %w", err)
	}
	switch err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil, errors.Is(err, errors.ErrUnsupported):
		return dir, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = ErrInUse
		fallthrough
	default:
		dir.Close()
		return nil, fmt.Errorf("%w: %s", err, path)
	}
}

// unlock releases it also where a child that was just forked still has the descriptor.
func unlock(dir *os.File) {
	unix.Flock(int(dir.Fd()), unix.LOCK_UN)
	dir.Close()
}

// Stop stops it, and returns when all is on the disk.
func (s *Server) Stop() {
	s.Shutdown()
	s.WaitForShutdown()
	unlock(s.dir)
}
