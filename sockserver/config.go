package sockserver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Environment variables that name the sockets if no setting does.
const (
	EnvSocket       = "HOTSWAP_SOCKET"
	EnvStderrSocket = "HOTSWAP_STDERR_SOCKET"
)

// DefaultSocketPath is where the socket is, below the program's working directory, if
// nothing says otherwise.
const DefaultSocketPath = "tmp/sockets/hotswap.sock"

const (
	defaultStallTimeout = time.Minute
	defaultMaxPulls     = 4
)

// Config configures [Start] and [Handler]. Its zero value listens on the
// default sockets and manages every database that the driver has open.
type Config struct {
	// SocketPath and StderrSocketPath are the sockets for commands and for
	// status lines; see [SocketPaths] for the defaults. Handler ignores both.
	SocketPath       string
	StderrSocketPath string

	// DatabasePaths are glob patterns as for [filepath.Glob], relative to the
	// working directory. If there are any, only databases that match one are
	// managed, and a file that matches is managed even if the driver does not
	// have it open. The patterns are evaluated at each request. A name that
	// starts with a dot or ends in -wal, -shm, -journal or ~ is never a
	// database.
	DatabasePaths []string

	// Logger logs each command, and each step of a push or a pull; its zero
	// value logs nothing. Nothing waits for its writer, as with
	// [hotswap/driver.WithLogger], except Close, for a second at most.
	Logger zerolog.Logger

	// Metrics, if set, counts pushes and pulls of this server and answers GET /metrics, which
	// is not found otherwise. For Prometheus use metrics.New() of package
	// hotswap/sockserver/metrics. A Metrics is for one server at a time.
	Metrics Metrics

	// Prepare and Validate are options of every push; see
	// [hotswap/swapper.PushOptions].
	Prepare  func(context.Context, *sql.DB) error
	Validate func(context.Context, *sql.DB) error

	// Timeout and MaxPause are the defaults for pushes that set none; 0 means
	// those of package swapper, 30 s and 1 s.
	Timeout  time.Duration
	MaxPause time.Duration

	// Keep, if not 0, has every push that says nothing else keep the replaced database as a
	// numbered backup, and that many of them; see [hotswap/swapper.PushOptions].
	Keep int

	// AllowUIDs and AllowGIDs admit users beside the process's own and root. A
	// group is compared with the primary group of the client's process. If
	// either is set, the sockets have mode 0666, in a directory that is created
	// with 0711, and it is the check of the peer that guards them. Handler
	// ignores both.
	AllowUIDs []uint32
	AllowGIDs []uint32

	// UI says what may be done from a browser, which opens the page that Handler
	// serves. It does not concern other clients.
	UI UI

	// StallTimeout is how long a push may go without receiving a byte, or a
	// pull without sending one, before it is aborted, and a held snapshot without a
	// request before it is released; 0 means a minute.
	StallTimeout time.Duration

	// MaxPulls is how many pulls may be in progress at once in the program, and snapshots
	// be held for clients elsewhere, each of which takes as much disk space as its
	// database; more are refused. 0 means 4.
	MaxPulls int
}

// SocketPaths fills in what is empty. An empty socket becomes $HOTSWAP_SOCKET,
// or tmp/sockets/hotswap.sock. An empty stderrSocket becomes
// $HOTSWAP_STDERR_SOCKET, or the name of the socket with "stderr" before its
// extension, such as tmp/sockets/hotswap.stderr.sock. Server and client resolve
// alike, so it is enough to name one socket.
func SocketPaths(socket, stderrSocket string) (string, string) {
	if socket == "" {
		socket = os.Getenv(EnvSocket)
	}
	if socket == "" {
		socket = filepath.FromSlash(DefaultSocketPath)
	}
	if stderrSocket == "" {
		stderrSocket = os.Getenv(EnvStderrSocket)
	}
	if stderrSocket == "" {
		ext := filepath.Ext(socket)
		stderrSocket = strings.TrimSuffix(socket, ext) + ".stderr" + ext
	}
	return socket, stderrSocket
}

func (c Config) stallTimeout() time.Duration {
	if c.StallTimeout > 0 {
		return c.StallTimeout
	}
	return defaultStallTimeout
}

func (c Config) maxPulls() int {
	if c.MaxPulls > 0 {
		return c.MaxPulls
	}
	return defaultMaxPulls
}

// validate finds mistakes before a request does.
func (c Config) validate() error {
	for _, pattern := range c.DatabasePaths {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return fmt.Errorf("configure the databases: pattern %q: %w", pattern, err)
		}
	}
	if c.Timeout < 0 || c.MaxPause < 0 || c.StallTimeout < 0 {
		return fmt.Errorf("configure the server: a negative duration (Timeout %s, MaxPause %s, StallTimeout %s)",
			c.Timeout, c.MaxPause, c.StallTimeout)
	}
	if c.Keep < 0 {
		return fmt.Errorf("configure the server: Keep is negative (%d)", c.Keep)
	}
	if c.MaxPulls < 0 {
		return fmt.Errorf("configure the server: MaxPulls is negative (%d)", c.MaxPulls)
	}
	return nil
}
