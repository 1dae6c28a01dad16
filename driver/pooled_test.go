package driver_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"
)

// TestTheFirstQueryOfAConnIsNotAlone: its Rows are open while the program uses the sql.Conn.
func TestTheFirstQueryOfAConnIsNotAlone(t *testing.T) {
	for name, look := range map[string]func(t *testing.T, db *sql.DB, open func() *sql.DB) string{
		"for changes of what it reads": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			for range 5 {
				c, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				rows := query(t, c, "SELECT id FROM t")
				for rows.Next() {
					var id int
					rows.Scan(&id)
					seen += fmt.Sprint(id, " ")
					c.ExecContext(t.Context(), "DELETE FROM t WHERE id BETWEEN ? AND ?", id, id+2)
				}
				mustExec(t, c, thousand)
				c.Close()
			}
			return seen
		},
		"in a Scanner": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			for range 5 {
				c, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				rows := query(t, c, "SELECT id FROM t LIMIT 50")
				for rows.Next() {
					within := time.AfterFunc(10*time.Second, func() { panic("a Scanner waits for its own connection") })
					err := rows.Scan(asks(func(v any) error {
						var n int
						err := c.QueryRowContext(t.Context(), "SELECT n FROM t WHERE id = ?", v).Scan(&n)
						seen += fmt.Sprint(n, " ")
						return err
					}))
					within.Stop()
					if err != nil {
						t.Fatal(err)
					}
				}
				c.Close()
			}
			return seen
		},
	} {
		t.Run(name, func(t *testing.T) { onBoth(t, "_journal=WAL", look) })
	}
}

// asks is a sql.Scanner.
type asks func(v any) error

func (ask asks) Scan(v any) error { return ask(v) }
