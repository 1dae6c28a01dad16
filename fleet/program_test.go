package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
)

// program is a program that has a database of the channel catalog, and is a node.
type program struct {
	t    *testing.T
	dir  string
	path string
	db   *sql.DB
	node *Node
	cfg  Config
}

// program starts one, with a database that is a copy of from, or with none.
func (w *world) program(name, from string, adjust func(*Config)) *program {
	w.t.Helper()
	return w.programIn(w.t.TempDir(), name, from, adjust)
}

// programIn is program, with its database in a directory.
func (w *world) programIn(dir, name, from string, adjust func(*Config)) *program {
	w.t.Helper()
	p := &program{t: w.t, dir: dir}
	p.path = filepath.Join(p.dir, "catalog.sqlite3")
	if from != "" {
		data, err := os.ReadFile(from)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(p.path, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	p.cfg = Config{Engine: w.server.ClientURL(), Node: name, Databases: map[string]string{"catalog": p.path}, HealthInterval: 50 * time.Millisecond,
		settle: 200 * time.Millisecond, doubt: 100 * time.Millisecond}
	if testing.Verbose() {
		p.cfg.Logger = zerolog.New(zerolog.NewTestWriter(w.t)).With().Timestamp().Logger()
	}
	if adjust != nil {
		adjust(&p.cfg)
	}
	w.t.Cleanup(p.stop)
	p.start()
	return p
}

func (p *program) start() {
	p.t.Helper()
	var err error
	if p.db, err = sql.Open(driver.Name, "file:"+p.path); err != nil {
		p.t.Fatal(err)
	}
	if p.node, err = Join(context.Background(), p.cfg); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) stop() {
	if p.node != nil {
		p.node.Close()
		p.db.Close()
		p.node = nil
	}
}

// content is what the program reads.
func (p *program) content() string {
	var text string
	if err := p.db.QueryRow("SELECT content FROM catalog").Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

func (p *program) status() DatabaseStatus { return p.node.Status().Databases["catalog"] }

// has waits until the program has a version.
func (p *program) has(version uint64) {
	p.t.Helper()
	want := fmt.Sprintf("catalog@%d", version)
	eventually(p.t, p.cfg.Node+" has "+want, func() bool { return p.status().Version == version && p.content() == want })
}

// rows counts those of a file to which nothing writes.
func rows(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM catalog").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
