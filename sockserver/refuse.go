package sockserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// requestPatience is how long a connection that is to be refused may take to send the
// first bytes of its request, and to hang up.
const requestPatience = time.Second

// refusable is a connection that can be refused.
type refusable interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	CloseWrite() error
}

// refuseConnection answers a connection for which there is no room, and closes it. The
// answer comes after the request has begun: HTTP clients take one that comes before for
// an error of the connection. And it is closed when the client has hung up: with a
// request left unread, the kernel would reset it, which may overtake the answer.
func refuseConnection(conn refusable, p *Problem, patience time.Duration) {
	conn.SetReadDeadline(time.Now().Add(patience))
	conn.Read(make([]byte, 4096))
	answerAtOnce(conn, p)
	conn.SetReadDeadline(time.Now().Add(patience))
	if conn.CloseWrite() == nil {
		io.Copy(io.Discard, conn)
	}
	conn.Close()
}

// answerAtOnce does not block: the buffer of a new connection always holds the answer.
func answerAtOnce(conn io.Writer, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		return
	}
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {problemMediaType}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Close:         true,
	}
	if p.Type.Temporary() {
		answer.Header.Set("Retry-After", "1")
	}
	var whole bytes.Buffer
	answer.Write(&whole)
	conn.Write(whole.Bytes())
}
