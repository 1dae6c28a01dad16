package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// garbled is a connection on which a byte is another one, behind a text that was sent or
// that came.
type garbled struct {
	net.Conn
	sent, came string // the text; "" for none
	behind     bool
	spoilt     *atomic.Int32
}

func (g *garbled) spoil(p []byte, text string) {
	switch {
	case text == "":
	case !g.behind:
		g.behind = bytes.Contains(p, []byte(text))
	case len(p) > 1000 && g.spoilt.CompareAndSwap(0, 1):
		p[len(p)/2] ^= 0x55
	}
}

func (g *garbled) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	g.spoil(p, g.sent)
	return g.Conn.Write(p)
}

func (g *garbled) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.spoil(p[:n], g.came)
	return n, err
}

// TestWhatIsGarbledOnTheWayTravelsWhole, by the same id, though the server may be at the
// first attempt still.
func TestWhatIsGarbledOnTheWayTravelsWhole(t *testing.T) {
	d := newDifference(t, Config{})
	d.change("UPDATE t SET v = hex(randomblob(500))")
	through := func(sent, came string) (*Client, *atomic.Int32) {
		var spoilt atomic.Int32
		c := NewClient(ClientConfig{SocketPath: d.server.SocketPath(), StderrSocketPath: d.server.StderrSocketPath(),
			Dial: func(ctx context.Context, path string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
				return &garbled{Conn: conn, sent: sent, came: came, spoilt: &spoilt}, err
			}})
		t.Cleanup(c.Close)
		return c, &spoilt
	}
	c, spoilt := through("", patchMediaType)
	pulled, err := os.Create(filepath.Join(t.TempDir(), "pulled"))
	if err != nil {
		t.Fatal(err)
	}
	defer pulled.Close()
	report, err := c.Snapshot(t.Context(), TheDatabase, pulled, SnapshotParams{ID: NewID(), Base: d.open()})
	if err != nil || spoilt.Load() != 1 {
		t.Fatalf("pull: %v, %d bytes were spoilt", err, spoilt.Load())
	}
	if sum, err := os.ReadFile(pulled.Name()); err != nil || hex.EncodeToString(sha256Of(sum)) != report.SHA256 {
		t.Errorf("pull: %v, or another digest", err)
	}
	c, spoilt = through("PUT /v1/database?held=", "")
	before := d.value("SELECT v FROM t WHERE id = 1")
	if report, err := c.Push(t.Context(), TheDatabase, d.open(), PushParams{ID: NewID()}); err != nil || !report.Swapped || spoilt.Load() != 1 {
		t.Fatalf("push: %+v, %v, %d bytes were spoilt", report, err, spoilt.Load())
	}
	if d.value("SELECT v FROM t WHERE id = 1") == before {
		t.Error("push: the old database is live")
	}
	d.nothingHeld()
}

func sha256Of(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}
