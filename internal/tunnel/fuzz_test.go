package tunnel

import (
	"io"
	"net"
	"strings"
	"testing"
)

// FuzzOpen is what the command at home reads of another machine.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(greeting))
	f.Add([]byte(greeting + "\x00\x01\x00\x02\x00\x00\x00\x01\x00\x00\x00\x00" + "\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x03{}\n"))
	f.Add([]byte("Welcome\n"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		through, err := Open(said{strings.NewReader(string(bytes))})
		if err != nil {
			return
		}
		defer through.Close()
		through.Ask("it", new(any))
		if conn, err := through.Dial(); err == nil {
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	})
}

// FuzzServe is what dial-stdio reads of whoever has a key for it.
func FuzzServe(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x03{}\n"))
	f.Add([]byte("GET /v1/version HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		Serve(said{strings.NewReader(string(bytes))}, func([]byte) (any, func() (net.Conn, error)) {
			return "", func() (net.Conn, error) {
				one, other := net.Pipe()
				other.Close()
				return one, nil
			}
		})
	})
}
