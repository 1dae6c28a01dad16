package sockserver

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"hotswap/internal/testenv"
)

// contentOf is the digest of all rows.
func contentOf(t testing.TB, db *sql.DB) string {
	t.Helper()
	rows, err := db.Query("SELECT id, v FROM t ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	hash := sha256.New()
	for rows.Next() {
		var id int
		var v []byte
		if err := rows.Scan(&id, &v); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(hash, "%d %q\n", id, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// serves proves that the program's calls and other clients get on.
func serves(t testing.TB, s *Server, live *sql.DB) {
	t.Helper()
	for range 100 {
		if _, err := live.Exec("INSERT INTO t (v) VALUES ('more'); DELETE FROM t WHERE v = 'more'"); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := newTestClient(t, s).Databases(t.Context(), ""); err != nil || len(list) != 1 || list[0].Stats.Waiting != 0 {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func TestAThousandConnectionsUseUpNothingButTheirOwnRoom(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 100)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	content := contentOf(t, live)
	const clients = 1000
	var conns []net.Conn
	for i := range clients {
		conn := dial(t, s.SocketPath())
		// Half a request, half a header, and nothing at all.
		io.WriteString(conn, []string{"PUT /v1/data", "GET /v1/snapshot?path=database HTTP/1.1\r\nHost:", ""}[i%3])
		conns = append(conns, conn)
	}
	refused := 0
	for _, conn := range conns[maxConnections:] {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := assertProblem(t, readProblem(res), ProblemBusy)
		if p.Status == http.StatusServiceUnavailable && res.Close {
			refused++
		}
		res.Body.Close()
	}
	if want := clients - maxConnections; refused != want {
		t.Errorf("%d were refused, want %d", refused, want)
	}
	if _, err := live.Exec("INSERT INTO t (v) VALUES ('more'); DELETE FROM t WHERE v = 'more'"); err != nil {
		t.Error(err)
	}
	for _, conn := range conns {
		conn.Close()
	}
	testenv.Until(t, "there is room again", func() bool {
		s.socket.conns.mu.Lock()
		defer s.socket.conns.mu.Unlock()
		return len(s.socket.conns.all) < maxConnections
	})
	serves(t, s, live)
	if contentOf(t, live) != content {
		t.Error("the database has changed")
	}
	s.socket.http.SetKeepAlivesEnabled(false)
	testenv.Until(t, "every connection is gone", func() bool {
		s.socket.conns.mu.Lock()
		defer s.socket.conns.mu.Unlock()
		return len(s.socket.conns.all) == 0
	})
}

func TestBodyThatComesByteByByteHoldsUpNobodyElse(t *testing.T) {
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 100)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	content := contentOf(t, live)
	conn := rawPush(t, s, "Transfer-Encoding: chunked\r\n", "")
	for _, b := range []byte("SQLite") {
		fmt.Fprint(conn, chunk(string(b)))
		serves(t, s, live) // for as long as it likes: no byte comes meanwhile
	}
	if n := len(stages(t, dir)); n != 1 {
		t.Fatalf("%d stages: the push is not under way", n)
	}
	if _, err := newTestClient(t, s).Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{}); err != nil {
		t.Error(err)
	}
	conn.Close()
	testenv.Until(t, "its stage is gone", func() bool { return len(stages(t, dir)) == 0 })
	if contentOf(t, live) != content {
		t.Error("the database has changed")
	}
}

func TestBodyCutAnywhereChangesNothing(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 10)
	makeDatabase(t, dir+"/new", 0)
	func() {
		db := reopen(t, dir+"/new")
		defer db.Close()
		if _, err := db.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) INSERT INTO t (v) SELECT randomblob(4000) FROM n"); err != nil {
			t.Fatal(err)
		}
	}()
	whole, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	const step = 4 << 10
	if len(whole) < 1_000_000 || len(whole)%step != 0 {
		t.Fatalf("the new database has %d bytes", len(whole))
	}
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	content := contentOf(t, live)
	for cut := 0; cut < len(whole); cut += testenv.Sample(3, 1) * step {
		body, headers := whole[:cut], fmt.Sprintf("Content-Length: %d\r\n", len(whole))
		// In turn, one sort of cut at each place.
		switch cut / step % 4 {
		case 0: // as if it were all
			headers = fmt.Sprintf("Content-Length: %d\r\n", cut)
		case 1: // within a chunk
			headers, body = "Transfer-Encoding: chunked\r\n", fmt.Appendf(nil, "%x\r\n%s", len(whole), body)
		case 2: // with a last chunk
			headers, body = "Transfer-Encoding: chunked\r\n", []byte(chunk(string(body))+"0\r\n\r\n")
		}
		conn := dial(t, s.SocketPath())
		fmt.Fprintf(conn, "PUT /v1/database?path=database&skip_integrity_check=1 HTTP/1.1\r\nHost: hotswap\r\n%s\r\n", headers)
		conn.Write(body)
		conn.(*net.UnixConn).CloseWrite()
		if err := answerOf(t, conn); err == nil {
			t.Fatalf("cut at %d, and taken for a whole one", cut)
		}
		conn.Close()
	}
	if contentOf(t, live) != content {
		t.Error("the database has changed")
	}
	if left := stages(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	serves(t, s, live)
	if _, err := newTestClient(t, s).Push(t.Context(), TheDatabase, bytes.NewReader(whole), PushParams{}); err != nil {
		t.Errorf("and the whole one is not taken: %v", err)
	}
}
