package bench

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
)

// BenchmarkKept looks at the memory of a connection on which texts of 200 bytes, 1 kB and
// 8 kB were run that a program has put together each time: with each driver, and each with
// none at all.
func BenchmarkKept(b *testing.B) {
	for _, bytes := range []int{200, 1000, 8000} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) {
			dir := tempDir(b)
			db, err := sql.Open("sqlite3", filepath.Join(dir, "0.sqlite3"))
			if err != nil {
				b.Fatal(err)
			}
			fill(b, db, 10)
			db.Close()
			var ways []*idleWay
			for _, texts := range []int{0, 64} {
				for name, p := range map[string]idleProgram{"raw": {Driver: "sqlite3"}, "cached": {Driver: "sqlite3", Params: "?_stmt_cache_size=64"}, "hotswap": {Driver: driver.Name}} {
					p.Dir, p.Texts, p.Bytes, p.Connections = dir, texts, bytes, 200
					ways = append(ways, &idleWay{name: fmt.Sprintf("%s-%d", name, texts), program: p})
				}
			}
			for b.Loop() {
				for _, w := range ways {
					child, ask := w.start(b)
					w.memory = append(w.memory, ask("memory"))
					if err := child.End(); err != nil {
						b.Error(err)
					}
				}
			}
			for _, w := range ways {
				b.ReportMetric(middle(w.memory)/1e3, w.name+"-kB/connection")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// runTexts runs each text on each connection, more than once.
func (p idleProgram) runTexts(db *sql.DB) error {
	db.SetMaxIdleConns(p.Connections)
	conns := make([]*sql.Conn, p.Connections)
	for i := range conns {
		conn, err := db.Conn(context.Background())
		if err != nil {
			return err
		}
		conns[i] = conn
		for n := range 3 * p.Texts {
			var text strings.Builder
			fmt.Fprintf(&text, "SELECT count(*) FROM t WHERE id = %d", n%p.Texts)
			for n := 0; text.Len() < p.Bytes; n++ {
				fmt.Fprintf(&text, " OR name = 'name %d' AND n > %d", n, n)
			}
			var rows int
			if err := conn.QueryRowContext(context.Background(), text.String()).Scan(&rows); err != nil {
				return err
			}
		}
	}
	for _, conn := range conns {
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}
