package engine_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// TestAServerThatIsFarAway is heard after a while, and does not wait for as long.
func TestAServerThatIsFarAway(t *testing.T) {
	url := plain(t, func(o *server.Options) { o.Username, o.Password, o.AuthTimeout = "a", "b", 0.5 })
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	go func() {
		for {
			here, err := far.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				here.Close()
				continue
			}
			go func() { io.Copy(there, here); there.Close() }()
			go func() { time.Sleep(250 * time.Millisecond); io.Copy(here, there); here.Close() }()
		}
	}()
	e := enginetest.Connect(t, engine.Config{URL: "nats://a:b@" + far.Addr().String(), Patient: true})
	for began := time.Now(); !e.Conn().IsConnected(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal(e.Conn().LastError())
		}
	}
}
