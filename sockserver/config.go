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

// The environment variables that name the sockets where no setting does.
const (
	EnvSocket       = "HOTSWAP_SOCKET"
	EnvStderrSocket = "HOTSWAP_STDERR_SOCKET"
)

const (
	defaultSocketPath   = "tmp/sockets/hotswap.sock"
	defaultStallTimeout = time.Minute
	defaultMaxPulls     = 4
)

// Config configures [Start] and [Handler]. Its zero value listens on the
// default sockets and manages every database that the driver has open.
type Config struct {
	// SocketPath and StderrSocketPath are where to listen; see [SocketPaths]
	// for the defaults. Handler ignores both.
	SocketPath       string
	StderrSocketPath string

	// DatabasePaths are glob patterns, as of [filepath.Glob], relative to the
	// working directory. If there are any, only the databases that match one
	// are managed, and a file that matches is managed although the driver does
	// not have it open. The patterns are evaluated at each request. A name
	// that starts with a dot or ends in -wal, -shm, -journal or ~ is never a
	// database.
	DatabasePaths []string

	// Logger gets a line per command, then a line per step of it; its zero
	// value logs nothing. Nobody waits for its writer, as with
	// [hotswap/driver.WithLogger]; Close does for a second at most.
	Logger zerolog.Logger

	// Metrics, if set, counts pushes and pulls and answers GET /metrics, which
	// is not found otherwise: metrics.New() of hotswap/sockserver/metrics is
	// one for Prometheus. It serves one server at a time.
	Metrics Metrics

	// Prepare and Validate go into the options of every push; see
	// [hotswap/swapper.PushOptions].
	Prepare  func(context.Context, *sql.DB) error
	Validate func(context.Context, *sql.DB) error

	// Timeout and MaxPause are the defaults for a push that does not set its
	// own; 0 leaves them to the swapper (30 s and 1 s).
	Timeout  time.Duration
	MaxPause time.Duration

	// AllowUIDs and AllowGIDs let further users in beside the process's own
	// and root. A group is compared with the primary group of the client's
	// process. If any is set, the sockets' mode is 0666 and that of a
	// directory made for them 0711, and the check of the peer is what guards
	// them. Handler ignores both.
	AllowUIDs []uint32
	AllowGIDs []uint32

	// StallTimeout is how long a client may neither send a byte of a push nor
	// take one of a pull before its command is aborted; 0 means a minute.
	StallTimeout time.Duration

	// MaxPulls bounds how many pulls are under way at once, each of which takes
	// as much disk space as its database; a further one is refused. 0 means 4.
	MaxPulls int
}

// SocketPaths fills in what is empty: socket from $HOTSWAP_SOCKET, else
// tmp/sockets/hotswap.sock, and stderrSocket from $HOTSWAP_STDERR_SOCKET, else
// from the socket's name with "stderr" put before its extension, which is
// tmp/sockets/hotswap.stderr.sock by default. Both ends resolve alike, so
// that naming one socket is enough.
func SocketPaths(socket, stderrSocket string) (string, string) {
	if socket == "" {
		socket = os.Getenv(EnvSocket)
	}
	if socket == "" {
		socket = filepath.FromSlash(defaultSocketPath)
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

// validate finds the mistakes that no request should have to find.
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
	if c.MaxPulls < 0 {
		return fmt.Errorf("configure the server: MaxPulls is negative (%d)", c.MaxPulls)
	}
	return nil
}
