package driver

import (
	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"
)

// Option is a setting of [New].
type Option func(*Driver)

// WithConnectHook calls hook on every new SQLite connection, the first time
// and whenever a swap made it reopen. An error fails the call that needed it. It
// is called for the new database of a push, too, before that is live: a push is
// refused if it fails on that. If it writes, it does so into a copy then.
//
// The hook must not keep the connection: it is closed by the next swap, and what
// go-sqlite3 does on a closed one may end the process (its Backup, RegisterFunc
// and AutoCommit do, by SIGSEGV). Whoever needs it later takes a connection of the
// pool and has it from [Raw], which also keeps a swap from closing it meanwhile.
func WithConnectHook(hook func(*sqlite3.SQLiteConn) error) Option {
	return func(d *Driver) { d.sqlite.ConnectHook = hook }
}

// WithExtensions loads SQLite extensions on every new SQLite connection.
func WithExtensions(files ...string) Option {
	return func(d *Driver) { d.sqlite.Extensions = files }
}

// WithLogger logs what happens to the driver's connections: calls that were
// queued by a swap and that resumed, and what goes wrong on a reconnect. It
// never logs arguments. The default logs nothing; a swap that has a logger of
// its own then uses that.
//
// No call waits for the logger's writer: lines are written on another goroutine,
// in order. Of a writer that takes none for a second 1,024 are kept, further ones
// are dropped, and the next line has their number as lines_dropped; one that is
// written much later than it happened has the time as happened.
func WithLogger(log zerolog.Logger) Option {
	return func(d *Driver) { d.log = &log }
}

// WithExternalReplace says what becomes of the connections when something else
// than a swap replaces the file (mv new.db live.db): AdoptReplaced by default.
// It holds for all pools of a database if one says RefuseReplaced. A file that is
// overwritten rather than replaced (cp new.db live.db) can't be seen, and is lost:
// https://www.sqlite.org/howtocorrupt.html, section 1.
func WithExternalReplace(what ExternalReplace) Option {
	return func(d *Driver) { d.external = what }
}

// WithInterceptor puts an sqlmw interceptor around the driver, as the
// outermost layer. It costs every call some hundred nanoseconds and a few
// allocations; without it nothing of sqlmw runs. [QueryLog] makes one.
func WithInterceptor(i sqlmw.Interceptor) Option {
	return func(d *Driver) { d.interceptor = i }
}
