package driver

import (
	"database/sql"
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"
)

// Name is the name under which importing the package registers the driver.
const Name = "sqlite3-hotswap"

func init() { sql.Register(Name, New()) }

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.DriverContext = (*Driver)(nil)
)

// Driver makes connections; see [New].
type Driver struct {
	sqlite      sqlite3.SQLiteDriver
	log         *zerolog.Logger // nil: none of its own
	interceptor sqlmw.Interceptor
	external    ExternalReplace
	alone       bool // as by WithPeers(false)
	visits      bool // see OpenPlain
}

// Option is a setting of [New].
type Option func(*Driver)

// New returns a driver to register under a name of its own with sql.Register, or to use
// with sql.OpenDB through OpenConnector.
func New(opts ...Option) *Driver {
	d := &Driver{}
	for _, o := range opts {
		o(d)
	}
	return d
}
