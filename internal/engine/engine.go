package engine

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// EnvURL is the environment variable that has the engine's address.
const EnvURL = "HOTSWAP_ENGINE"

// DefaultURL is where an engine is looked for if nothing says where.
const DefaultURL = nats.DefaultURL

// Config says where the engine is, and who connects.
type Config struct {
	URL string // one or several, with commas between; "" means Context's, or DefaultURL
	// Conn, if set, is a connection that the program has already. Close leaves it open, and
	// what else is said of the connection is not looked at.
	Conn *nats.Conn
	// Context is a context of the nats command: its name, or the path of its file.
	Context string
	Creds   string // a credentials file, as of `nats --creds`
	NKey    string // a file with an nkey's seed
	TLS     TLS
	Name    string // of the connection, for those who look at the engine
	// Replicas is how many servers keep each stream and bucket that is made here; 0 means 3 in a
	// cluster and 1 otherwise.
	Replicas int
	// Patient connects in the background if no server answers at first, and keeps trying.
	Patient bool
	// Patience is how long one attempt of Retry waits for an answer; 0 means 5 s.
	Patience time.Duration
	// Changed, if set, is told when the connection is lost or back.
	Changed func(connected bool, err error)
}

// TLS are the files of a TLS connection; the zero value uses the system's roots, if the
// server asks for TLS.
type TLS struct{ CA, Cert, Key string }

// Engine is a connection to the engine. It is safe for concurrent use.
type Engine struct {
	config Config
	conn   *nats.Conn
	js     jetstream.JetStream
	where  string // the servers, for messages

	dialer  *dialer // of a patient connection, else nil
	denials denials

	mu     sync.Mutex // guards what follows
	began  time.Time  // when a stream was made for the first time, of a cluster of fewer than three
	chunks jetstream.Stream
	fleet  jetstream.KeyValue
	nodes  jetstream.KeyValue
	has    jetstream.KeyValue
}

// connectPatience is how long a server has to answer.
const connectPatience = 5 * time.Second

// Connect connects. Without config.Patient it fails if no server answers.
func Connect(ctx context.Context, config Config) (*Engine, error) {
	e := &Engine{config: config, conn: config.Conn}
	if e.conn == nil {
		options, url, err := config.options()
		if err != nil {
			return nil, err
		}
		e.where = shown(url)
		options = append(options, nats.ErrorHandler(e.told), nats.Timeout(patience(ctx)),
			nats.RetryOnFailedConnect(config.Patient), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second))
		if config.Patient {
			// A server that refuses the credentials twice may know them later: their file is read anew.
			e.dialer = newDialer(e.config.speaksFirst(url))
			options = append(options, nats.IgnoreAuthErrorAbort(), nats.SetCustomDialer(e.dialer), nats.SkipHostLookup())
		}
		if changed := config.Changed; changed != nil {
			options = append(options,
				nats.ConnectHandler(func(*nats.Conn) { changed(true, nil) }),
				nats.ReconnectHandler(func(*nats.Conn) { changed(true, nil) }),
				nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { changed(false, err) }))
		}
		if e.conn, err = nats.Connect(url, options...); err != nil {
			return nil, e.Explain("connect", err)
		}
	} else {
		e.where = shown(strings.Join(e.conn.Servers(), ","))
	}
	var err error
	if e.js, err = jetstream.New(e.conn, jetstream.WithDefaultTimeout(requestPatience)); err != nil {
		e.Close()
		return nil, e.Explain("connect", err)
	}
	return e, nil
}

// requestPatience is how long a request waits for its answer, if its context has no deadline.
const requestPatience = 10 * time.Second

func patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(connectPatience, time.Until(deadline)), time.Millisecond)
	}
	return connectPatience
}

// Conn returns the connection.
func (e *Engine) Conn() *nats.Conn { return e.conn }

// Patience is how long one attempt of Retry waits for an answer.
func (e *Engine) Patience() time.Duration { return cmp.Or(e.config.Patience, attemptPatience) }

// JetStream returns the connection's JetStream.
func (e *Engine) JetStream() jetstream.JetStream { return e.js }

// Where names the servers, without what is secret of their addresses.
func (e *Engine) Where() string { return e.where }

// Close ends a connection that Connect has made.
func (e *Engine) Close() {
	if e.config.Conn == nil && e.conn != nil {
		e.conn.Close()
		if e.dialer != nil {
			e.dialer.close()
		}
	}
}

// Fleet returns the bucket of what decides.
func (e *Engine) Fleet(ctx context.Context) (jetstream.KeyValue, error) {
	return e.bucket(ctx, FleetBucket, &e.fleet)
}

// Nodes returns the bucket of what nodes say of themselves.
func (e *Engine) Nodes(ctx context.Context) (jetstream.KeyValue, error) {
	return e.bucket(ctx, NodesBucket, &e.nodes)
}

// Has returns the bucket of what nodes have swapped in.
func (e *Engine) Has(ctx context.Context) (jetstream.KeyValue, error) {
	return e.bucket(ctx, HasBucket, &e.has)
}

func (e *Engine) bucket(ctx context.Context, name string, known *jetstream.KeyValue) (jetstream.KeyValue, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if *known != nil {
		return *known, nil
	}
	err := e.Retry(ctx, func(ctx context.Context) (err error) {
		*known, err = e.js.KeyValue(ctx, name)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			if _, err = e.makeStream(ctx, bucketStream(name)); err == nil {
				*known, err = e.js.KeyValue(ctx, name)
			}
		}
		return orNoJetStream(err)
	})
	if err != nil {
		*known = nil
		return nil, e.Explain("open the bucket "+name, err)
	}
	return *known, nil
}

// orNoJetStream is what it means that nobody takes requests of JetStream's: a server without
// it does not say so.
func orNoJetStream(err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return jetstream.ErrJetStreamNotEnabled
	}
	return err
}

// Chunks returns the stream of chunks.
func (e *Engine) Chunks(ctx context.Context) (jetstream.Stream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.chunks != nil {
		return e.chunks, nil
	}
	err := e.Retry(ctx, func(ctx context.Context) (err error) {
		e.chunks, err = e.js.Stream(ctx, ChunkStream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			e.chunks, err = e.makeStream(ctx, chunkStream())
		}
		return orNoJetStream(err)
	})
	if err != nil {
		e.chunks = nil
		return nil, e.Explain("open the stream "+ChunkStream, err)
	}
	return e.chunks, nil
}

// Setup makes what is not there yet: the stream and the buckets. Whoever may not make
// streams needs it to have been called by somebody who may; publishing calls it, too.
func (e *Engine) Setup(ctx context.Context) error {
	if _, err := e.Chunks(ctx); err != nil {
		return err
	}
	if _, err := e.Fleet(ctx); err != nil {
		return err
	}
	if _, err := e.Nodes(ctx); err != nil {
		return err
	}
	_, err := e.Has(ctx)
	return err
}

// KeepRoom limits the chunks, so that of what the engine may store in all something is left for
// what decides: a publisher that fills it up must not keep anybody from halting a rollout, going
// back, or removing versions.
func (e *Engine) KeepRoom(ctx context.Context, most int64) error {
	chunks, err := e.Chunks(ctx)
	if err != nil {
		return err
	}
	config := chunks.CachedInfo().Config
	limit := most - min(most/8, mostRoom)
	if config.MaxBytes == limit {
		return nil
	}
	config.MaxBytes = limit
	_, err = e.js.UpdateStream(ctx, config)
	return e.Explain("limit the stream "+ChunkStream, err)
}

// mostRoom is enough for the orders, the manifests and the nodes of a large fleet.
const mostRoom = 64 << 20

// shown is a list of URLs without users and passwords.
func shown(urls string) string {
	list := strings.Split(urls, ",")
	for i, u := range list {
		u = strings.TrimSpace(u)
		if scheme, rest, ok := strings.Cut(u, "://"); ok {
			if at := strings.LastIndex(rest, "@"); at >= 0 {
				rest = rest[at+1:]
			}
			u = scheme + "://" + rest
		} else if at := strings.LastIndex(u, "@"); at >= 0 {
			u = u[at+1:]
		}
		list[i] = u
	}
	return strings.Join(list, ",")
}
