// Package tunnel carries connections through a pair of pipes, such as a command's
// standard input and output on another machine, which is reached once for all of them.
//
// The serving end greets first, so that what a login shell prints is not taken for it.
// Then yamux multiplexes: the first stream has a question and its answer, in JSON; each
// one after it is a connection.
package tunnel

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// name begins the greeting, and is never changed: the version follows it.
	name     = "hotswap dial-stdio "
	greeting = name + "1\n"
	// maxNoise is how much is read for a greeting.
	maxNoise = 256
	// maxMessage bounds a question and an answer.
	maxMessage = 64 << 10
	// maxOverhead is how much may come before the answer is complete.
	maxOverhead = 2 * maxMessage
	// window is how much of a connection may be on its way: a gigabit for 60 ms.
	window = 8 << 20
	// maxConnections is how many may be open at once.
	maxConnections = 16
	// copyBuffer is how much of a connection is handed on at a time.
	copyBuffer = 256 << 10
)

// ErrVersion: the other end speaks another version.
var ErrVersion = errors.New("the other end has another version of dial-stdio")

// NoiseError: something else came than the greeting.
type NoiseError struct{ Text string }

func (e *NoiseError) Error() string { return fmt.Sprintf("%q came instead of a greeting", e.Text) }

// Tunnel is the end that makes connections.
type Tunnel struct {
	session *yamux.Session
	asking  *allowance
}

// Open waits for the other end's greeting. Closing rw ends the wait. The error is io.EOF
// if nothing came at all.
func Open(rw io.ReadWriteCloser) (*Tunnel, error) {
	reader := bufio.NewReaderSize(rw, copyBuffer)
	if err := readGreeting(reader); err != nil {
		return nil, err
	}
	asking := &allowance{from: reader}
	asking.left.Store(maxOverhead)
	session, err := yamux.Client(conn{asking, rw}, config())
	if err != nil {
		return nil, err
	}
	return &Tunnel{session, asking}, nil
}

func readGreeting(r *bufio.Reader) error {
	var line []byte
	for len(line) < maxNoise {
		b, err := r.ReadByte()
		if err != nil && len(line) == 0 {
			return err
		}
		if err != nil || b == '\n' {
			break
		}
		line = append(line, b)
	}
	switch got := string(line); {
	case got+"\n" == greeting:
		return nil
	case len(got) > len(name) && got[:len(name)] == name:
		return ErrVersion
	default:
		return &NoiseError{got}
	}
}

// Ask asks the question that the other end answers before there are connections.
func (t *Tunnel) Ask(question, answer any) error {
	stream, err := t.session.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := json.NewEncoder(stream).Encode(question); err != nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(stream, maxMessage)).Decode(answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	t.asking.left.Store(math.MaxInt64)
	return nil
}

// allowance is a reader with an end: what comes before the answer could be valid for
// ever, and say nothing.
type allowance struct {
	from io.Reader
	left atomic.Int64
}

func (a *allowance) Read(p []byte) (int, error) {
	n, err := a.from.Read(p)
	if a.left.Add(-int64(n)) < 0 {
		return 0, errors.New("bytes without an answer in them")
	}
	return n, err
}

// Dial makes a connection.
func (t *Tunnel) Dial() (net.Conn, error) {
	stream, err := t.session.OpenStream()
	if err != nil {
		return nil, err
	}
	return dialled{stream}, nil
}

// Ended is closed once the other end is gone.
func (t *Tunnel) Ended() <-chan struct{} { return t.session.CloseChan() }

// Close closes rw, and ends every connection.
func (t *Tunnel) Close() error { return t.session.Close() }

// dialled is a connection whose Close waits for nothing, not even for pipes that nobody
// empties, and ends what is being read, as that of a socket does.
type dialled struct{ *yamux.Stream }

func (d dialled) Close() error {
	d.SetDeadline(time.Unix(1, 0))
	go d.Stream.Close()
	return nil
}

// Serve greets, and answers the question by asking answer, which also returns how to
// connect; a nil dial connects to nothing. It returns once the other end has closed.
func Serve(rw io.ReadWriteCloser, answer func(question []byte) (reply any, dial func() (net.Conn, error))) error {
	if _, err := io.WriteString(rw, greeting); err != nil {
		return err
	}
	session, err := yamux.Server(rw, config())
	if err != nil {
		return err
	}
	first, err := session.AcceptStream()
	if err != nil {
		return ended(err)
	}
	dial, err := reply(first, answer)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, maxConnections)
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return ended(err)
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			defer stream.Close()
			if dial == nil {
				return
			}
			if conn, err := dial(); err == nil {
				join(stream, conn)
			}
		}()
	}
}

// reply reads the question and sends the answer.
func reply(stream *yamux.Stream, answer func([]byte) (any, func() (net.Conn, error))) (func() (net.Conn, error), error) {
	defer stream.Close()
	question, err := bufio.NewReader(io.LimitReader(stream, maxMessage)).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read the question: %w", err)
	}
	message, dial := answer(question)
	return dial, json.NewEncoder(stream).Encode(message)
}

// join hands on what either end sends. The other machine's end closes only what it has
// given up; the socket's may end while there is more of its answer to take.
func join(stream *yamux.Stream, conn net.Conn) {
	go func() {
		_, err := copyAll(conn, stream)
		if err == nil { // stream was closed at the other end
			conn.Close()
		}
		// Else conn takes no more: what it has answered is still to be read.
	}()
	copyAll(stream, conn)
	conn.Close()
}

// copyAll is io.Copy by large pieces.
func copyAll(dst io.Writer, src io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, copyBuffer))
}

// ended is nil if the other end has closed as it should.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
		return nil
	}
	return err
}

// conn reads what is buffered first.
type conn struct {
	io.Reader
	io.WriteCloser
}

// config has none of yamux's timeouts. A link may be slow, and what is below it (ssh's
// ServerAliveInterval, say) knows better when it is dead.
func config() *yamux.Config {
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive = false
	cfg.ConnectionWriteTimeout = math.MaxInt64
	cfg.StreamOpenTimeout, cfg.StreamCloseTimeout = 0, 0
	cfg.MaxStreamWindowSize = window
	cfg.LogOutput = io.Discard
	return cfg
}
