package sockserver

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"hotswap/internal/lognote"
	"hotswap/internal/unix"
)

// Limits of a connection outside transfers; see stallGuard for those.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// closeGrace is how long Close leaves a client to take its answer.
const closeGrace = 5 * time.Second

// logGrace is how long it leaves the log to take what there is.
const logGrace = time.Second

// Server serves the protocol on its two sockets, from Start to Close. Its
// methods may be called from any goroutine.
type Server struct {
	api    *api
	socket *socketServer
	events *socketServer
	// stopWatch ends the watching of the sockets.
	stopWatch func()
}

// Start listens on the sockets and serves in the background.
//
// It fails with ErrInUse if another server answers at a socket, with ErrNotSocket
// if another kind of file is there, and with ErrSocketPathTooLong. A dead socket
// is replaced. Sockets that a service manager passes under the names "hotswap"
// and "hotswap.stderr" (LISTEN_FDS, as systemd does) are used instead of the
// configured ones, and Close leaves them in place; their mode is up to the
// service manager. Beside each database that the driver has open it
// first removes what a killed push may have left.
//
// On Windows, where no database is managed, it fails with errors.ErrUnsupported.
func Start(cfg Config) (*Server, error) { return newAPI(cfg, theProgram).start() }

func (a *api) start() (*Server, error) {
	if err := unix.Supported(); err != nil {
		return nil, fmt.Errorf("start the socket server: %w", err)
	}
	cfg := a.cfg
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	open := len(cfg.AllowUIDs)+len(cfg.AllowGIDs) > 0
	if open && !peerKnown {
		return nil, errors.New("configure the server: AllowUIDs and AllowGIDs need an operating system that identifies clients")
	}
	cfg.SocketPath, cfg.StderrSocketPath = SocketPaths(cfg.SocketPath, cfg.StderrSocketPath)
	if cfg.SocketPath == cfg.StderrSocketPath {
		return nil, fmt.Errorf("configure the server: %s can't be both sockets", cfg.SocketPath)
	}
	list, err := a.listManaged()
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(list))
	for i, m := range list {
		paths[i] = m.path
	}
	a.meet(paths...)
	commands, err := listenOn(inheritedSocket, cfg.SocketPath, open)
	if err != nil {
		return nil, err
	}
	events, err := listenOn(inheritedStderr, cfg.StderrSocketPath, open)
	if err != nil {
		return nil, errors.Join(err, commands.Close())
	}
	s := &Server{
		api: a, socket: serve(cfg, commands, a.handler()), events: serve(cfg, events, a.eventsHandler()),
	}
	s.stopWatch = a.startWatch(s.socket, s.events)
	lognote.Send(cfg.Logger.Info().Str(fieldSocket, commands.path), "listening")
	reportUnserved(cfg.Logger, commands, events)
	return s, nil
}

// SocketPath returns the absolute path of the socket for commands.
func (s *Server) SocketPath() string { return s.socket.path }

// StderrSocketPath returns the absolute path of the socket for status lines.
func (s *Server) StderrSocketPath() string { return s.events.path }

// Close stops the server at once: it aborts commands that have not committed,
// waits for the others, and returns when every handler has returned and the
// sockets are removed. Each client gets its answer.
func (s *Server) Close() error {
	aborted, abort := context.WithCancel(context.Background())
	abort()
	return s.Shutdown(aborted)
}

// Shutdown stops accepting connections and waits for the commands in progress
// until ctx ends; those that remain are aborted as by Close. When it returns, the
// server is closed; it does not return ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.socket.shutdown(ctx)
	s.stopWatch()
	s.api.held.close()
	// The status lines end last: they have the ends of the aborted commands.
	s.api.outlet.close()
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err = errors.Join(err, s.events.shutdown(grace))
	lognote.Flush(logGrace)
	return err
}

// socketServer is an HTTP server on one socket.
type socketServer struct {
	http   *http.Server
	path   string
	conns  *connections
	cancel context.CancelCauseFunc // ends the context of every request
	served chan struct{}           // closed when no connection is accepted any more

	accepting sync.WaitGroup // has an entry for each listener that is served

	mu       sync.Mutex // guards what follows
	listener *listener
	closing  bool
	lossSaid bool // the log has that the socket is lost
}

func serve(cfg Config, l *listener, handler http.Handler) *socketServer {
	base, cancel := context.WithCancelCause(context.Background())
	s := &socketServer{
		path:     l.path,
		listener: l,
		conns:    newConnections(cfg),
		cancel:   cancel,
		served:   make(chan struct{}),
	}
	l.enter = s.conns.enter
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(lognote.Writer(cfg.Logger), "", 0),
		ConnState:         s.conns.track,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       s.conns.context,
	}
	s.accept(l)
	go func() {
		defer close(s.served)
		s.accepting.Wait()
	}()
	return s
}

// accept serves the connections of a listener until that is closed.
func (s *socketServer) accept(l *listener) {
	s.accepting.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			lognote.Send(s.conns.cfg.Logger.Error().Err(err).Str(fieldSocket, l.path), "the socket is no longer served")
		}
	})
}

// shutdown waits for the requests in progress until ctx ends, then ends their
// contexts, and closes what has still not ended after closeGrace. A handler is
// always waited for.
func (s *socketServer) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	err := s.listener.Close()
	s.mu.Unlock()
	<-s.served
	s.http.SetKeepAlivesEnabled(false)
	quiet := s.conns.stop()
	select {
	case <-quiet:
	case <-ctx.Done():
	}
	s.cancel(errStopping)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-quiet:
	case <-grace.C:
	}
	err = errors.Join(err, s.http.Close())
	<-quiet
	return err
}
