package sockserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"hotswap/swapper"
)

const (
	// clientBase is where every request goes: the host is for the log only.
	clientBase = "http://hotswap"
	// expectTimeout is how long a push waits to be asked for its body. A
	// refusal comes without the question, so the body is not sent for it.
	expectTimeout = time.Minute
	// answerTimeout bounds the wait for an answer that takes the server no work.
	answerTimeout = 15 * time.Second
	versionPath   = "/v1/version"
	backupsPath   = "/v1/backups"
	// maxAnswer bounds what a client reads of an answer other than a snapshot.
	maxAnswer = 16 << 20
	// transferBuffer is how much of a database goes through at a time.
	transferBuffer = 256 << 10
)

// ErrConnectionLost: the connection ended before the answer was complete.
var ErrConnectionLost = errors.New("connection lost before the server answered")

// ClientConfig configures [NewClient]. [SocketPaths] fills in what is empty.
type ClientConfig struct {
	SocketPath       string
	StderrSocketPath string
	// Dial, if set, is how to connect to a socket, which may be on another machine:
	// no descriptor is passed to the server then.
	Dial func(ctx context.Context, socket string) (net.Conn, error)
}

// Client talks to a [Server]. Its methods may be called from any goroutine, and
// connect when they need to.
//
// Unless it says otherwise, an error of a method is, or wraps, one of
//   - a *DialError, if no server was reached, or none that answers a request
//     for information within 15 s;
//   - a *Problem, if the server answered with one;
//   - ErrConnectionLost;
//   - the cause of the context's end.
type Client struct {
	socket, stderrSocket string
	dial                 func(context.Context, string) (net.Conn, error)
	near                 bool // the sockets are those of this machine
	commands, events     *http.Client
	patience             time.Duration
}

// NewClient returns a client. It does not connect yet.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{patience: answerTimeout, dial: cfg.Dial}
	if c.dial == nil {
		c.dial, c.near = dialSocket, true
	}
	c.socket, c.stderrSocket = SocketPaths(cfg.SocketPath, cfg.StderrSocketPath)
	c.commands, c.events = httpClient(c.socket, c.dial), httpClient(c.stderrSocket, c.dial)
	return c
}

// httpClient makes a client for a socket.
func httpClient(socket string, dial func(context.Context, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) },
			DisableCompression:    true,
			ExpectContinueTimeout: expectTimeout,
			WriteBufferSize:       transferBuffer,
			ReadBufferSize:        transferBuffer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SocketPath returns the path of the socket for commands.
func (c *Client) SocketPath() string { return c.socket }

// StderrSocketPath returns the path of the socket for status lines.
func (c *Client) StderrSocketPath() string { return c.stderrSocket }

// Dial connects to the socket for commands, for those who hand on what a client says to
// it. The error is as for the other methods.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) { return c.dial(ctx, c.socket) }

// Close closes idle connections. The client can still be used.
func (c *Client) Close() {
	c.commands.CloseIdleConnections()
	c.events.CloseIdleConnections()
}

// Databases returns the managed databases, sorted by path, or only the one at
// path: an absolute path, or [TheDatabase] for the only one. An empty path means
// all.
func (c *Client) Databases(ctx context.Context, path string) ([]DatabaseInfo, error) {
	query := url.Values{}
	if path != "" {
		query.Set(paramPath, path)
	}
	var list []DatabaseInfo
	err := c.get(ctx, "/v1/databases", query, &list)
	return list, err
}

// Backups returns what pushes have kept of the database at path, as [swapper.Backups]
// does, with their tags if those are asked for: then each of them is read for that.
func (c *Client) Backups(ctx context.Context, path string, tags bool) ([]swapper.Backup, error) {
	query := url.Values{paramPath: {path}}
	if tags {
		query.Set(paramTags, "1")
	}
	req, err := newRequest(ctx, http.MethodGet, backupsPath, query, nil)
	if err != nil {
		return nil, err
	}
	res, err := send(c.commands, req)
	if err != nil {
		return nil, c.explain(ctx, backupsPath, err)
	}
	defer res.Body.Close()
	var list []swapper.Backup
	err = decodeAnswer(res, &list)
	return list, err
}

// Version returns the versions of the server's process.
func (c *Client) Version(ctx context.Context) (VersionInfo, error) {
	var version VersionInfo
	err := c.get(ctx, versionPath, nil, &version)
	return version, err
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := c.answered(ctx, c.socket)
	defer cancel()
	req, err := newRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	res, err := send(c.commands, req)
	if err != nil {
		return c.explain(ctx, path, err)
	}
	defer res.Body.Close()
	// The other socket answers to everything, with text that has no end.
	if mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); mediaType == typeText && res.ContentLength < 0 {
		return &DialError{c.socket, "it is the socket for status lines (--stderr-socket), not the one for commands", ErrNoServer}
	}
	return decodeAnswer(res, into)
}

// answered bounds the wait for a socket that takes connections and stays silent.
func (c *Client) answered(ctx context.Context, socket string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.patience, &DialError{socket,
		fmt.Sprintf("no answer within %v: the program is stopped or stuck", c.patience), fmt.Errorf("%w: %w", ErrNoServer, os.ErrDeadlineExceeded)})
}

// explain adds to a request that the server did not understand that the two ends
// are of different versions, if they are.
func (c *Client) explain(ctx context.Context, path string, err error) error {
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Type != ProblemBadRequest || path == versionPath {
		return err
	}
	server, versionErr := c.Version(ctx)
	switch {
	case versionErr != nil:
	case server.Protocol < protocol:
		p.Hint = fmt.Sprintf("the program's hotswap is older than this one (%s and %s, protocol %d and %d): "+
			"leave out what it does not know, or build the program with this version",
			server.Version, moduleVersion(), server.Protocol, protocol)
	case server.Protocol > protocol:
		p.Hint = fmt.Sprintf("the program's hotswap is newer than this one (%s and %s, protocol %d and %d): use a command of its version",
			server.Version, moduleVersion(), server.Protocol, protocol)
	}
	return err
}

func newRequest(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, method, clientBase+path+"?"+query.Encode(), body)
}

// send sends a request; an answer that is not a success is its error.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, sendError(req.Context(), err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	return nil, readProblem(res)
}

// sendError finds out why there is no answer.
func sendError(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text has our made-up address in it
	}
	if dial, ok := errors.AsType[*DialError](err); ok {
		return dial
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, err)
}

func decodeAnswer(res *http.Response, into any) error {
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		if ctx := res.Request.Context(); ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: read the answer: %w", ErrConnectionLost, err)
	}
	return nil
}

// readProblem reads an error answer, which may be of a server that is not ours.
func readProblem(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: read the answer: %w", ErrConnectionLost, err)
	}
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p Problem
	if mediaType == problemMediaType && json.Unmarshal(body, &p) == nil && p.Type != "" {
		return &p
	}
	return &Problem{
		Type:   ProblemInternal,
		Title:  "not an answer from hotswap",
		Status: res.StatusCode,
		Detail: fmt.Sprintf("the server answered %s: %.200s", res.Status, strings.TrimSpace(string(body))),
		Hint:   "is it a hotswap server?",
	}
}
