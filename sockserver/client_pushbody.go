package sockserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net"
	"net/http"
	"sync"
)

// pushBody is the body of a push. Its trailer gets the digest at the end, if one
// is to be sent.
//
// A goroutine reads the source, since a source can be stuck (a pipe that
// nobody writes to) and net/http waits for a Read of the body before it
// reports that the connection is lost, or that the context ended.
type pushBody struct {
	trailer http.Header
	hash    hash.Hash // nil: no digest is sent

	chunks    chan sourceChunk
	buffers   chan []byte   // those that the reading goroutine may fill
	abandoned chan struct{} // closed once nobody wants the rest
	abandon   func()        // closes abandoned; may be called from anywhere
	stop      func() bool   // ends the wait for the context
	start     func()        // starts the reading, once

	current sourceChunk // what Read is handing out; only Read uses it
	buffer  []byte      // the one that current is in

	mu    sync.Mutex // guards what follows
	ended bool       // the server has, or may have, all of the source
	err   error      // the source's
}

type sourceChunk struct {
	data []byte
	err  error
}

var errAbandoned = errors.New("transfer abandoned")

func newPushBody(ctx context.Context, src io.Reader, digest bool) *pushBody {
	b := &pushBody{
		chunks:    make(chan sourceChunk),
		buffers:   make(chan []byte, 2),
		abandoned: make(chan struct{}),
	}
	if digest {
		b.trailer, b.hash = http.Header{headerDigest: nil}, sha256.New()
	}
	b.abandon = sync.OnceFunc(func() { close(b.abandoned) })
	b.stop = context.AfterFunc(ctx, b.abandon)
	for range cap(b.buffers) {
		b.buffers <- make([]byte, transferBuffer)
	}
	// Not before the server asks for the body: a refusal leaves src unread.
	b.start = sync.OnceFunc(func() {
		b.setEnded(false)
		go b.readSource(src)
	})
	return b
}

// readSource reads ahead of Read by a buffer.
func (b *pushBody) readSource(src io.Reader) {
	for {
		var buffer []byte
		select {
		case buffer = <-b.buffers:
		case <-b.abandoned:
			return
		}
		n, err := src.Read(buffer)
		if b.hash != nil {
			b.hash.Write(buffer[:n]) // here, while Read's caller sends what came before
		}
		select {
		case b.chunks <- sourceChunk{buffer[:n], err}:
		case <-b.abandoned:
			return
		}
		if err != nil {
			return
		}
	}
}

// passed notes that the server gets the source's descriptor: it has all of it
// then, unless it asks for the body nevertheless.
func (b *pushBody) passed() { b.setEnded(true) }

func (b *pushBody) setEnded(ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = ended
}

func (b *pushBody) Read(p []byte) (int, error) {
	b.start()
	for len(b.current.data) == 0 {
		if b.current.err != nil {
			return 0, b.end(b.current.err)
		}
		if b.buffer != nil {
			b.buffers <- b.buffer // has room: it came from there
			b.buffer = nil
		}
		select {
		case b.current = <-b.chunks:
			b.buffer = b.current.data[:cap(b.current.data)]
		case <-b.abandoned:
			return 0, errAbandoned
		}
	}
	n := copy(p, b.current.data)
	b.current.data = b.current.data[n:]
	return n, nil
}

// end notes how the source ended.
func (b *pushBody) end(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == io.EOF {
		if b.hash != nil {
			b.trailer.Set(headerDigest, formatDigest(b.hash.Sum(nil)))
		}
		b.ended = true
	} else {
		b.err = err
	}
	return err
}

// Close does not wait for the source.
func (b *pushBody) Close() error {
	b.stop()
	b.abandon()
	return nil
}

func (b *pushBody) outcome() (ended bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended, b.err
}

// pushConn is the connection of a push. The server may answer, and close,
// before it has the whole body. net/http reads the answer, and closes its end
// after it; but a Write that fails meanwhile would make it drop the answer,
// and a source that is stuck would make it wait before it tells of the end.
type pushConn struct {
	net.Conn
	ended chan struct{} // closed by Close: whatever came has been read
	end   func()        // closes ended, and calls lost
}

func newPushConn(conn net.Conn, lost func()) *pushConn {
	c := &pushConn{Conn: conn, ended: make(chan struct{})}
	c.end = sync.OnceFunc(func() {
		close(c.ended)
		lost()
	})
	return c
}

func (c *pushConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		<-c.ended // soon: the peer has closed, and our reader sees it
	}
	return n, err
}

func (c *pushConn) Close() error {
	c.end()
	return c.Conn.Close()
}
