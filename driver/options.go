package driver

import (
	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"
)

// WithConnectHook calls hook on every new SQLite connection: the first time, and
// whenever a swap made it reopen. An error from hook fails the call that needed the
// connection. A push also runs hook on the new database before that is live, and is
// refused if it fails there; what hook writes then goes to a copy.
//
// The hook must not keep the connection: the next swap closes it, and what go-sqlite3
// does on a closed one may end the process (its Backup, RegisterFunc and AutoCommit do,
// by SIGSEGV). To use it later, take a connection of the pool and pass that to [Raw],
// which also keeps a swap from closing it meanwhile.
func WithConnectHook(hook func(*sqlite3.SQLiteConn) error) Option {
	return func(d *Driver) { d.sqlite.ConnectHook = hook }
}

// WithExtensions loads these SQLite extensions on every new SQLite connection.
func WithExtensions(files ...string) Option {
	return func(d *Driver) { d.sqlite.Extensions = files }
}

// The fields that several log lines have.
const (
	fieldDatabase = "database"
	fieldQuery    = "query"
)

// WithLogger logs what happens to the driver's connections: calls that were queued by a
// swap and that resumed, and what goes wrong on a reconnect. It never logs arguments.
// Without it, queued calls are logged by the swap's own logger, if that has one, and
// warnings also by the standard library's.
//
// No call waits for the logger's writer: lines are written on another goroutine, in
// order. If the writer takes none for a second, 1,024 lines are kept and further ones
// dropped, and the next line has the number of dropped ones as lines_dropped. A line
// written more than a second after the event has its time as happened.
func WithLogger(log zerolog.Logger) Option {
	return func(d *Driver) { d.log = &log }
}

// WithExternalReplace says what happens to the connections when something other than a
// swap replaces the file (mv new.db live.db). The default is AdoptReplaced;
// RefuseReplaced applies to all pools of a database if one of them has it. A file that
// is overwritten rather than replaced (cp new.db live.db) can't be detected, and is
// lost: https://www.sqlite.org/howtocorrupt.html, section 1.
func WithExternalReplace(what ExternalReplace) Option {
	return func(d *Driver) { d.external = what }
}

// WithPeers says whether a swap of the driver's databases may span the other processes
// that have them open through this driver, as it does by default: those then drain,
// reopen and run their OnSwap callbacks with this one. One pool with WithPeers(false)
// is enough for its database to take no part, neither in its own pushes nor in those of
// others. So is the environment variable HOTSWAP_PEERS=off, for all databases of a
// process.
func WithPeers(on bool) Option {
	return func(d *Driver) { d.alone = !on }
}

// WithInterceptor puts an sqlmw interceptor around the driver, as the outermost layer.
// It costs every call a few hundred nanoseconds and a few allocations; without it no
// code of sqlmw runs. [QueryLog] makes one.
func WithInterceptor(i sqlmw.Interceptor) Option {
	return func(d *Driver) { d.interceptor = i }
}
