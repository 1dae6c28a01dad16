package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/trust"
	"hotswap/swapper"
)

// Config is a node's settings. Node and Databases are needed.
type Config struct {
	// Engine is the address of the engine, or several with commas between; "" means
	// $HOTSWAP_ENGINE, or nats://127.0.0.1:4222.
	Engine string
	// Conn, if set, is a connection that the program has already, and stays open.
	Conn *nats.Conn
	// Context is a context of the nats command, Creds a file with credentials, NKey one with
	// the seed of an nkey, and TLS the files of a TLS connection.
	Context, Creds, NKey string
	TLS                  TLS

	// Node is the node's name, which no other program may have at the same time: up to 64
	// letters, digits, _ and -. Labels are for rollouts that are for some nodes only.
	Node   string
	Labels map[string]string
	// Databases are the paths of the databases, by channel. The program opens them with
	// hotswap's driver, before Join or later; a file that does not exist yet is made. Of the
	// programs that share one, one joins: Join refuses a node of another name than the one that
	// has the database already, and says who that is.
	Databases map[string]string

	// Validate, if set, may read each version before the node says that it is prepared. An
	// error refuses the version, as does not to return within the time that the rollout gives a
	// node to prepare, an hour by default.
	//
	// Its context, and that of Health, ends when its time is over, when something else is to be
	// done, and with Close. One that does not return then is left: the version that it was called
	// for is not taken, and it is not called again before it has returned.
	Validate func(context.Context, Version, *sql.DB) error
	// Health, if set, says whether the program is in order with the version that was swapped
	// in. It is asked after the swap and then each HealthInterval until the rollout is done;
	// an error, or not to return within HealthTimeout, means that it is not: the node goes back to the
	// version before, and the rollout is told. (While the process is stopped no time passes.) It is
	// also asked when a node joins; but one that has been in order with a version stays with it, once
	// the rollout is done, and says so.
	Health func(context.Context, Version) error
	// HealthInterval and HealthTimeout are 5 s and 30 s if 0.
	HealthInterval, HealthTimeout time.Duration

	// TrustedKeys are the public keys of those who may publish and order, as `hotswap fleet
	// key` prints them. With any, versions, orders and pins that none of them has signed are
	// refused; so are orders and pins older than those that the node has obeyed, which it keeps
	// beside each database, in a file with the suffix -hotswap-orders.
	TrustedKeys []string
	// Keep is how many versions before the live one stay beside it, as numbered backups; 0
	// means 2.
	Keep int
	// Diverged is what to do about a live database that was written to, or has never been a
	// published version; "" means Refuse. The status tells of a write within a minute or two.
	Diverged Diverged
	// SkipSchemaCheck accepts versions whose schema differs from the live one's.
	SkipSchemaCheck bool
	// MaxPause and Timeout are as in swapper.PushOptions.
	MaxPause, Timeout time.Duration

	// Logger gets a line for each step; the zero value is silent.
	Logger zerolog.Logger

	// settle is how long a new controller listens before it takes a node that it has not
	// heard for one that is not there.
	settle time.Duration
	// doubt is how long an engine that knows less than it did is not believed: a server that
	// is cut off notices within ten seconds that it leads no more.
	doubt time.Duration
	// touch is how long a node without an answer of the engine's believes what it was told.
	touch time.Duration
	// overdue is how long a lease is unchanged when it is taken over.
	overdue time.Duration
	// notice is how long a write may go unnoticed.
	notice time.Duration
	trust  trust.Keys // TrustedKeys
}

// Diverged is what to do about a database that is not exactly a published version.
type Diverged string

const (
	// Refuse leaves the database as it is, and the node counts as failed.
	Refuse Diverged = "refuse"
	// Replace swaps nevertheless: what was written is in the backup alone, and only until Keep
	// later swaps have left others.
	Replace Diverged = "replace"
)

// TLS are the files of a TLS connection: of the authorities, and of the node's certificate
// and its key.
type TLS struct{ CA, Cert, Key string }

// Version names a published version, as catalog@7.
type Version struct {
	Channel string
	Number  uint64
}

func (v Version) String() string { return repository.Version(v.internal()).String() }

func (v Version) internal() repository.Version {
	return repository.Version{Channel: v.Channel, Number: v.Number}
}

// ErrConfig: a Config can't be used as it is.
var ErrConfig = errors.New("fleet: not a valid configuration")

// complete checks the settings and fills in what is left out.
func (c *Config) complete() error {
	wrong := func(err error) error { return fmt.Errorf("%w: %w", ErrConfig, err) }
	if err := engine.CheckName("node", c.Node); err != nil {
		return wrong(err)
	}
	if len(c.Databases) == 0 {
		return wrong(errors.New("no Databases: name a channel and the path of its database"))
	}
	paths := map[string]string{}
	for channel, path := range c.Databases {
		if err := engine.CheckName("channel", channel); err != nil {
			return wrong(err)
		}
		if other, ok := paths[path]; ok || path == "" {
			return wrong(fmt.Errorf("the channels %s and %s have the same path %q", other, channel, path))
		}
		paths[path] = channel
	}
	for _, text := range c.TrustedKeys {
		key, err := trust.Parse(text)
		if err != nil {
			return wrong(err)
		}
		c.trust = append(c.trust, key)
	}
	switch c.Diverged {
	case "":
		c.Diverged = Refuse
	case Refuse, Replace:
	default:
		return wrong(fmt.Errorf("Diverged is %q, and may be %q or %q", c.Diverged, Refuse, Replace))
	}
	if c.Keep < 0 || c.HealthInterval < 0 || c.HealthTimeout < 0 {
		return wrong(errors.New("a number is negative"))
	}
	if c.Keep == 0 {
		c.Keep = 2
	}
	if c.settle == 0 {
		c.settle = 2*records.Renewal + time.Second
	}
	if c.notice == 0 {
		c.notice = time.Minute
	}
	if c.doubt == 0 {
		c.doubt = 15 * time.Second
	}
	if c.touch == 0 {
		c.touch = records.NodeTTL
	}
	if c.overdue == 0 {
		c.overdue = records.LeaseOverdue
	}
	if c.HealthInterval == 0 {
		c.HealthInterval = 5 * time.Second
	}
	if c.HealthTimeout == 0 {
		c.HealthTimeout = 30 * time.Second
	}
	return nil
}

// connection is how to reach the engine.
func (c *Config) connection() engine.Config {
	url := c.Engine
	if url == "" && c.Context == "" {
		url = os.Getenv(engine.EnvURL)
	}
	return engine.Config{URL: url, Conn: c.Conn, Context: c.Context, Creds: c.Creds, NKey: c.NKey,
		TLS: engine.TLS(c.TLS), Name: "hotswap node " + c.Node, Patient: true}
}

// push is how a version is staged. tag, if set, is what the live database must have.
func (c *Config) push(v Version, size int64, tag string) swapper.PushOptions {
	opts := swapper.PushOptions{
		Source: v.String(), Size: size, By: "fleet node " + c.Node, IfMatch: tag,
		BackupAs: swapper.BackupNumbered, Keep: c.Keep,
		SkipSchemaCheck: c.SkipSchemaCheck, MaxPause: c.MaxPause, Timeout: c.Timeout, Logger: c.Logger,
	}
	return opts
}
