package ecosystem

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	entdialect "entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/Masterminds/squirrel"
	"github.com/XSAM/otelsql"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/doug-martin/goqu/v9"
	_ "github.com/doug-martin/goqu/v9/dialect/sqlite3"
	"github.com/go-gorp/gorp/v3"
	"github.com/gocraft/dbr/v2"
	"github.com/gocraft/dbr/v2/dialect"
	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database/sqlite3"
	_ "github.com/golang-migrate/migrate/v4/source/file"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jmoiron/sqlx"
	"github.com/pocketbase/dbx"
	"github.com/pressly/goose/v3"
	sqlmigrate "github.com/rubenv/sql-migrate"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"maragu.dev/goqite"
	"xorm.io/xorm"
	"xorm.io/xorm/dialects"
)

// The bodies of these functions are the blocks of docs/libraries.md, as they stand there.
// Each then hands over what it made.
var libraries = map[string]func(t *testing.T, dsn, path string) error{
	"GORM": func(t *testing.T, dsn, path string) error {
		db, err := gorm.Open(sqlite.New(sqlite.Config{DriverName: "sqlite3-hotswap", DSN: dsn}), &gorm.Config{})
		if err != nil {
			return err
		}
		pool, err := db.DB()
		swapsReach(t, path, pool)
		type Note struct {
			ID   int
			Body string
		}
		var read Note
		if err := db.First(&read).Error; err != nil || read.Body != "written, then pushed" {
			t.Errorf("read %+v, %v", read, err)
		}
		return err
	},
	"GORM on a pool": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db, err := gorm.Open(&sqlite.Dialector{Conn: pool}, &gorm.Config{})
		if err != nil {
			return err
		}
		pool, err = db.DB()
		swapsReach(t, path, pool)
		return err
	},
	"sqlx": func(t *testing.T, dsn, path string) error {
		sqlx.BindDriver("sqlite3-hotswap", sqlx.QUESTION)
		db, err := sqlx.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		swapsReach(t, path, db)
		var body string
		err = db.Get(&body, db.Rebind("SELECT body FROM notes WHERE id > ?"), 0)
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"ent": func(t *testing.T, dsn, path string) error {
		drv, err := entsql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		client := ent.NewClient(ent.Driver(drv))
		if client.Dialect() != entdialect.SQLite {
			t.Errorf("the dialect is %s", client.Dialect())
		}
		swapsReach(t, path, drv.DB())
		return nil
	},
	"Bun": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db := bun.NewDB(pool, sqlitedialect.New())
		swapsReach(t, path, db)
		var body string
		err = db.NewSelect().Table("notes").Column("body").Scan(t.Context(), &body)
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"XORM": func(t *testing.T, dsn, path string) error {
		dialects.RegisterDriver("sqlite3-hotswap", dialects.QueryDriver("sqlite3"))
		engine, err := xorm.NewEngine("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		t.Cleanup(func() { engine.Close() })
		swapsReach(t, path, engine.DB().DB)
		var body string
		_, err = engine.Table("notes").Cols("body").Get(&body)
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"gorp": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db := &gorp.DbMap{Db: pool, Dialect: gorp.SqliteDialect{}}
		swapsReach(t, path, db.Db)
		body, err := db.SelectStr("SELECT body FROM notes")
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"dbx": func(t *testing.T, dsn, path string) error {
		dbx.BuilderFuncMap["sqlite3-hotswap"] = dbx.BuilderFuncMap["sqlite3"]
		db, err := dbx.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		if _, ok := db.Builder.(*dbx.SqliteBuilder); !ok {
			t.Errorf("the builder is a %T", db.Builder)
		}
		swapsReach(t, path, db.DB())
		return nil
	},
	"dbr": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db := &dbr.Connection{DB: pool, Dialect: dialect.SQLite3, EventReceiver: &dbr.NullEventReceiver{}}
		swapsReach(t, path, db)
		body, err := db.NewSession(nil).Select("body").From("notes").ReturnString()
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"goqu": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db := goqu.New("sqlite3", pool)
		swapsReach(t, path, db)
		query, _, err := db.From("notes").Select("body").Where(goqu.C("id").Gt(0)).ToSQL()
		if !strings.Contains(query, "`notes`") {
			t.Errorf("it is not SQLite's dialect: %s", query)
		}
		return err
	},
	"Squirrel": func(t *testing.T, dsn, path string) error {
		pool, err := sql.Open("sqlite3-hotswap", dsn)
		if err != nil {
			return err
		}
		db := squirrel.StatementBuilder.RunWith(pool)
		swapsReach(t, path, pool)
		var body string
		err = db.Select("body").From("notes").Scan(&body)
		if body != "written, then pushed" {
			t.Errorf("read %q", body)
		}
		return err
	},
	"goose": func(t *testing.T, dsn, path string) error {
		ctx, pool := onPool(t, dsn)
		provider, err := goose.NewProvider(goose.DialectSQLite3, pool, os.DirFS("migrations"))
		if err != nil {
			return err
		}
		_, err = provider.Up(ctx)
		swapsReach(t, path, pool)
		return err
	},
	"golang-migrate": func(t *testing.T, dsn, path string) error {
		_, pool := onPool(t, dsn)
		source, err := iofs.New(os.DirFS("."), "migrations")
		if err != nil {
			return err
		}
		target, err := sqlite3.WithInstance(pool, &sqlite3.Config{})
		if err != nil {
			return err
		}
		m, err := migrate.NewWithInstance("file", source, "sqlite3", target)
		if err != nil {
			return err
		}
		err = m.Up()
		swapsReach(t, path, pool)
		return err
	},
	"sql-migrate": func(t *testing.T, dsn, path string) error {
		_, pool := onPool(t, dsn)
		migrations := &sqlmigrate.MemoryMigrationSource{Migrations: []*sqlmigrate.Migration{
			{Id: "1", Up: []string{"CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"}},
		}}
		n, err := sqlmigrate.Exec(pool, "sqlite3", migrations, sqlmigrate.Up)
		if n != 1 {
			t.Errorf("%d migrations", n)
		}
		swapsReach(t, path, pool)
		return err
	},
	"SCS": func(t *testing.T, dsn, path string) error {
		_, pool := onPool(t, dsn)
		if _, err := pool.Exec("CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)"); err != nil {
			return err
		}
		sessions := scs.New()
		sessions.Store = sqlite3store.New(pool)
		t.Cleanup(sessions.Store.(*sqlite3store.SQLite3Store).StopCleanup)
		swapsReach(t, path, pool)
		return nil
	},
	"goqite": func(t *testing.T, dsn, path string) error {
		ctx, pool := onPool(t, dsn)
		dir := strings.TrimSpace(string(command(t, repository, "go", "list", "-m", "-f", "{{.Dir}}", "maragu.dev/goqite")))
		schema, err := os.ReadFile(filepath.Join(dir, "schema_sqlite.sql"))
		if err != nil {
			return err
		}
		if _, err := pool.Exec(string(schema)); err != nil {
			return err
		}
		queue := goqite.New(goqite.NewOpts{DB: pool, Name: "jobs"})
		swapsReach(t, path, pool)
		return queue.Send(ctx, goqite.Message{Body: []byte("m")})
	},
	"Drivers around": func(t *testing.T, dsn, path string) error {
		db, err := otelsql.Open("sqlite3-hotswap", dsn, otelsql.WithAttributes(semconv.DBSystemNameSQLite))
		if err != nil {
			return err
		}
		swapsReach(t, path, db)
		return nil
	},
}

// repository is where this module is.
var repository string

func onPool(t *testing.T, dsn string) (context.Context, *sql.DB) {
	pool, err := sql.Open("sqlite3-hotswap", dsn)
	if err != nil {
		t.Fatal(err)
	}
	return t.Context(), pool
}

// ent stands in for the package that ent generates.
var ent generated

type (
	generated struct{}
	client    struct{ entdialect.Driver }
)

func (generated) NewClient(drv entdialect.Driver) client         { return client{drv} }
func (generated) Driver(drv entdialect.Driver) entdialect.Driver { return drv }
