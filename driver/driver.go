package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"

	"hotswap/internal/dsn"
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
}

// New returns a driver to register under a name of its own with sql.Register, or to use
// with sql.OpenDB through OpenConnector.
func New(opts ...Option) *Driver {
	d := &Driver{}
	for _, o := range opts {
		o(d)
	}
	return d
}

// OpenConnector makes the database of the name a managed one until the connector is
// closed, which sql.DB.Close does. It opens nothing yet: whatever is wrong with the
// name or the file is reported by the first connection.
func (d *Driver) OpenConnector(name string) (driver.Connector, error) {
	c := &connector{drv: d, dsn: dsn.Parse(name)}
	c.outer = (*baseConnector)(c)
	if d.interceptor != nil {
		wrapped, err := sqlmw.Driver(baseDriver{d, (*baseConnector)(c)}, d.interceptor).(driver.DriverContext).OpenConnector(name)
		if err != nil {
			return nil, err
		}
		c.outer = wrapped
	}
	c.manage()
	return c, nil
}

// Open opens one connection. sql.Open uses OpenConnector instead.
func (d *Driver) Open(name string) (driver.Conn, error) {
	c, err := d.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	defer c.(*connector).Close() // the connection keeps the database managed
	return c.Connect(context.Background())
}

// baseDriver is what sqlmw wraps: a driver with the one connector.
type baseDriver struct {
	*Driver
	connector driver.Connector
}

func (b baseDriver) OpenConnector(string) (driver.Connector, error) { return b.connector, nil }
