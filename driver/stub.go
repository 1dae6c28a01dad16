package driver

// Temporary pass-through so that the other packages compile while the driver
// is being written. Only the signatures below are final.

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"
)

const Name = "sqlite3-hotswap"

func init() { sql.Register(Name, New()) }

type Driver struct{ sqlite3.SQLiteDriver }

type Option func(*Driver)

func New(opts ...Option) *Driver { return &Driver{} }

func WithConnectHook(func(*sqlite3.SQLiteConn) error) Option { return func(*Driver) {} }
func WithExtensions(...string) Option                        { return func(*Driver) {} }
func WithLogger(zerolog.Logger) Option                       { return func(*Driver) {} }
func WithInterceptor(sqlmw.Interceptor) Option               { return func(*Driver) {} }

func QueryLog(log zerolog.Logger, slow time.Duration) sqlmw.Interceptor {
	return sqlmw.NullInterceptor{}
}

func Raw(c *sql.Conn, fn func(*sqlite3.SQLiteConn) error) error {
	return c.Raw(func(dc any) error { return fn(dc.(*sqlite3.SQLiteConn)) })
}

type Database struct{}

func Lookup(path string) (*Database, bool)          { return nil, false }
func Databases() []*Database                        { return nil }
func Manage(path string) (*Database, func(), error) { return nil, nil, errors.New("stub") }

func (*Database) Path() string                      { return "" }
func (*Database) Generation() uint64                { return 1 }
func (*Database) Stats() Stats                      { return Stats{} }
func (*Database) Holders() []Holder                 { return nil }
func (*Database) OnSwap(func(Swap)) (cancel func()) { return func() {} }
func (*Database) Freeze(context.Context, FreezeOptions) (*Frozen, error) {
	return nil, errors.New("stub")
}

type FreezeOptions struct{}
type Frozen struct{}

var (
	ErrForced   = errors.New("forced")
	ErrFreezing = errors.New("freezing")
)

type HeldError struct{ Holders []Holder }

func (*HeldError) Error() string { return "" }

var _ driver.Driver = (*Driver)(nil)
