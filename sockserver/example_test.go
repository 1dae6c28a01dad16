package sockserver_test

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	_ "hotswap/driver"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// The smallest program whose database can be replaced and copied with the
// command hotswap.
func Example() {
	dir := exampleDir()
	defer os.RemoveAll(dir)

	db, err := sql.Open("sqlite3-hotswap", filepath.Join(dir, "production.sqlite3"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// Without a SocketPath it is $HOTSWAP_SOCKET, or tmp/sockets/hotswap.sock.
	server, err := sockserver.Start(sockserver.Config{
		SocketPath: filepath.Join(dir, "hotswap.sock"),
		Validate: func(ctx context.Context, db *sql.DB) error {
			return db.QueryRowContext(ctx, "SELECT name FROM item").Scan(new(string))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	fmt.Println("listening on", filepath.Base(server.SocketPath()))
	// Output: listening on hotswap.sock
}

// A program that has its own HTTP server can serve the protocol there, instead
// of on a socket. Handler checks nobody, so the program must.
func ExampleHandler() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	db := exampleDatabase("sqlite3-hotswap", filepath.Join(dir, "production.sqlite3"), "old")
	defer db.Close()

	const token = "a secret of the program's own"
	guarded := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
				http.Error(w, "not allowed", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/hotswap/", guarded(http.StripPrefix("/admin/hotswap", sockserver.Handler(sockserver.Config{
		DatabasePaths: []string{filepath.Join(dir, "*.sqlite3")},
	}))))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, authorization := range []string{"", "Bearer " + token} {
		req, err := http.NewRequest("GET", server.URL+"/admin/hotswap/v1/snapshot?path=database", nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		res, err := server.Client().Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %.15q\n", res.Status, body)
	}
	// Output:
	// 401 Unauthorized: "not allowed\n"
	// 200 OK: "SQLite format 3"
}

// A program that replaces and copies another program's database, without the
// command.
func ExampleClient() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "hotswap.sock")

	// The other program:
	db := exampleDatabase("sqlite3-hotswap", filepath.Join(dir, "production.sqlite3"), "old")
	defer db.Close()
	server, err := sockserver.Start(sockserver.Config{SocketPath: socket, DatabasePaths: []string{filepath.Join(dir, "production.*")}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// This one:
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	defer client.Close()
	ctx := context.Background()
	exampleDatabase("sqlite3", filepath.Join(dir, "new.sqlite3"), "new").Close()
	source, err := os.Open(filepath.Join(dir, "new.sqlite3"))
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	report, err := client.Push(ctx, sockserver.TheDatabase, source, sockserver.PushParams{Backup: true})
	var problem *sockserver.Problem
	switch {
	case errors.Is(err, swapper.ErrOutcomeUnknown):
		log.Fatal("inspect the database: ", err)
	case errors.As(err, &problem) && problem.Type.Temporary():
		log.Fatal("try again later: ", err)
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("generation", report.Generation, "is live; the old one is", filepath.Base(report.BackupPath))

	copied, err := os.Create(filepath.Join(dir, "copy.sqlite3"))
	if err != nil {
		log.Fatal(err)
	}
	defer copied.Close()
	if _, err := client.Snapshot(ctx, sockserver.TheDatabase, copied, sockserver.SnapshotParams{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("copied:", exampleName(copied.Name()))
	// Output:
	// generation 2 is live; the old one is production.sqlite3~
	// copied: new
}

func exampleDir() string {
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		log.Fatal(err)
	}
	return dir
}

// exampleDatabase makes a database that has one item.
func exampleDatabase(driver, path, name string) *sql.DB {
	db, err := sql.Open(driver, path)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE item (name TEXT); INSERT INTO item VALUES (?)", name); err != nil {
		log.Fatal(err)
	}
	return db
}

func exampleName(path string) (name string) {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT name FROM item").Scan(&name); err != nil {
		log.Fatal(err)
	}
	return name
}
