package sockserver

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"hotswap/swapper"
)

// bodySeen is what the swapper saw of a push's body.
type bodySeen struct {
	body []byte
	err  error
}

// bodyServer answers each push with what its body's reader said.
func bodyServer(t *testing.T, cfg Config) (*Server, chan bodySeen) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	seen := make(chan bodySeen, 1)
	cfg.DatabasePaths = []string{dir + "/db"}
	return startServer(t, dir, cfg, pushing(func(body []byte, err error, _ swapper.PushOptions) (swapper.Report, error) {
		seen <- bodySeen{body, err}
		return swapper.Report{Bytes: int64(len(body)), Swapped: err == nil}, err
	})), seen
}

// rawPush sends the given headers and body as they are, then ends its half of
// the connection.
func rawPush(t *testing.T, s *Server, headers, body string) net.Conn {
	t.Helper()
	conn := dial(t, s.SocketPath())
	fmt.Fprintf(conn, "PUT /v1/database?path=database HTTP/1.1\r\nHost: hotswap\r\n%s\r\n%s", headers, body)
	return conn
}

func answerOf(t *testing.T, conn net.Conn) error {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return readProblem(res)
}

func chunk(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }

func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return formatDigest(sum[:])
}

func TestCutBodyIsNeverACompleteOne(t *testing.T) {
	for name, cut := range map[string][2]string{
		"length":              {"Content-Length: 10\r\n", "01234"},
		"within a chunk":      {"Transfer-Encoding: chunked\r\n", "a\r\n01234"},
		"between chunks":      {"Transfer-Encoding: chunked\r\n", chunk("0123456789")},
		"before the trailer":  {"Transfer-Encoding: chunked\r\n", chunk("0123456789") + "0\r\n"},
		"within the trailer":  {"Transfer-Encoding: chunked\r\n", chunk("0123456789") + "0\r\nContent-Dig"},
		"instead of a chunk":  {"Transfer-Encoding: chunked\r\n", "zz\r\n"},
		"nothing of a length": {"Content-Length: 10\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := bodyServer(t, Config{})
			conn := rawPush(t, s, cut[0], cut[1])
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; !errors.Is(got.err, errBodyTruncated) {
				t.Fatalf("the swapper's reader ended with %v", got.err)
			}
			// One that ended only its half of the connection hears about it.
			assertProblem(t, answerOf(t, conn), ProblemTruncated)
		})
	}
}

func TestWholeBodyEndsWithEOF(t *testing.T) {
	const body = "0123456789"
	for name, whole := range map[string][2]string{
		"length":                {"Content-Length: 10\r\n", body},
		"length and digest":     {"Content-Length: 10\r\nContent-Digest: " + digestOf(body) + "\r\n", body},
		"chunked":               {"Transfer-Encoding: chunked\r\n", chunk(body) + "0\r\n\r\n"},
		"chunked, with digest":  {"Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n", chunk(body) + "0\r\nContent-Digest: " + digestOf(body) + "\r\n\r\n"},
		"one digest of several": {"Transfer-Encoding: chunked\r\n", chunk(body) + "0\r\nContent-Digest: sha-512=:AA==:, " + digestOf(body) + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := bodyServer(t, Config{})
			conn := rawPush(t, s, whole[0], whole[1])
			if got := <-seen; got.err != nil || string(got.body) != body {
				t.Fatalf("the swapper got %q, %v", got.body, got.err)
			}
			if err := answerOf(t, conn); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDigestThatDoesNotMatchIsRefused(t *testing.T) {
	const body = "0123456789"
	for name, wrong := range map[string][2]string{
		"header":              {"Content-Length: 10\r\nContent-Digest: " + digestOf("other") + "\r\n", body},
		"trailer":             {"Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n", chunk(body) + "0\r\nContent-Digest: " + digestOf("other") + "\r\n\r\n"},
		"trailer unannounced": {"Transfer-Encoding: chunked\r\n", chunk(body) + "0\r\nContent-Digest: " + digestOf("other") + "\r\n\r\n"},
		"not a digest":        {"Transfer-Encoding: chunked\r\n", chunk(body) + "0\r\nContent-Digest: sha-256=:AAAA:\r\n\r\n"},
		"another algorithm":   {"Transfer-Encoding: chunked\r\n", chunk(body) + "0\r\nContent-Digest: md5=:AAAA:\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := bodyServer(t, Config{})
			conn := rawPush(t, s, wrong[0], wrong[1])
			if got := <-seen; !errors.Is(got.err, errDigestMismatch) {
				t.Fatalf("the swapper's reader ended with %v", got.err)
			}
			assertProblem(t, answerOf(t, conn), ProblemDigest)
		})
	}
}

// Of a body whose digest nobody wants none is computed.
func TestDigestThatCouldNotBeComparedIsRefused(t *testing.T) {
	const body = "0123456789"
	s, seen := bodyServer(t, Config{})
	conn := dial(t, s.SocketPath())
	fmt.Fprint(conn, "PUT /v1/database?path=database&skip_integrity_check=1 HTTP/1.1\r\nHost: hotswap\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n"+chunk(body)+"0\r\nContent-Digest: "+digestOf(body)+"\r\n\r\n")
	if got := <-seen; !errors.Is(got.err, errDigestMismatch) {
		t.Fatalf("the swapper's reader ended with %v", got.err)
	}
	err := answerOf(t, conn)
	assertProblem(t, err, ProblemDigest)
	if !strings.Contains(err.Error(), "Trailer: Content-Digest") {
		t.Errorf("got %v", err)
	}
}

func TestLengthAndSizeMustAgree(t *testing.T) {
	s, _ := bodyServer(t, Config{})
	conn := dial(t, s.SocketPath())
	fmt.Fprint(conn, "PUT /v1/database?path=database&size=11 HTTP/1.1\r\nHost: hotswap\r\nContent-Length: 10\r\n\r\n0123456789")
	assertProblem(t, answerOf(t, conn), ProblemBadRequest)
}
