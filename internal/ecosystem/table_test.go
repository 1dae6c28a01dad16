package ecosystem

// suites are those whose tests can be pointed at a file. What they keep in memory is not
// managed, and not swapped.
var suites = []suite{
	{module: "github.com/jmoiron/sqlx@v1.4.0", packages: []string{"."}, quick: true, env: []string{"SQLX_SQLITE_DSN=sqlx.db", "SQLX_POSTGRES_DSN=skip", "SQLX_MYSQL_DSN=skip"}},
	{module: "github.com/go-gorp/gorp/v3@v3.1.0", packages: []string{"."}, tags: "integration", env: []string{"GORP_TEST_DIALECT=sqlite", "GORP_TEST_DSN=gorp.db"}},
	{module: "maragu.dev/goqite@v0.4.0", packages: []string{".", "jobs"}, edits: [][3]string{
		{"internal/testing/postgres.go", "*testing.T) *sql.DB {\n\tt.Helper()", "*testing.T) *sql.DB {\n\tt.Skip(\"there is no server\")"},
		// A swap may remove the -shm that it has just listed.
		{"internal/testing/sqlite.go", "os.Remove(file); err != nil {", "os.Remove(file); err != nil && !os.IsNotExist(err) {"},
	}},
	{module: "github.com/alexedwards/scs/sqlite3store@v0.0.0-20251002162104-209de6e426de", packages: []string{"."}, quick: true},
	{module: "gorm.io/driver/sqlite@v1.6.0", packages: []string{"."}, edits: [][3]string{
		{"sqlite_test.go", "file:testdatabase?mode=memory&cache=shared", "file:testdatabase.db"},
	}},
	{module: "github.com/pressly/goose/v3@v3.30.1", packages: []string{".", "database"}, skip: "Binary", edits: [][3]string{
		{"goose_embed_test.go", `sql.Open("sqlite"`, `sql.Open("sqlite3"`},
		{"provider_options_test.go", `sql.Open("sqlite"`, `sql.Open("sqlite3"`},
		{"provider_run_test.go", `sql.Open("sqlite"`, `sql.Open("sqlite3"`},
		{"provider_test.go", `sql.Open("sqlite"`, `sql.Open("sqlite3"`},
		{"database/store_test.go", `sql.Open("sqlite"`, `sql.Open("sqlite3"`},
	}},
	{module: "github.com/golang-migrate/migrate/v4@v4.20.1", packages: []string{"database/sqlite3"}},
	{module: "github.com/doug-martin/goqu/v9@v9.19.0", packages: []string{"dialect/sqlite3"}, edits: [][3]string{
		{"dialect/sqlite3/sqlite3_test.go", `":memory:"`, `"goqu.db"`},
	}},
	{module: "github.com/gocraft/dbr/v2@v2.7.6", packages: []string{"."}, edits: [][3]string{
		{"dbr_test.go", "{mysqlSession, postgresSession, sqlite3Session, mssqlSession}", "{sqlite3Session}"},
		{"dbr_test.go", `":memory:"`, `"dbr.db"`},
	}},
	{module: "github.com/rubenv/sql-migrate@v1.8.1", packages: []string{"."}},
	{module: "entgo.io/ent@v0.14.5", packages: []string{"dialect/sql/schema"}},
	{module: "xorm.io/xorm@v1.4.3", packages: []string{"tests"}, edits: [][3]string{
		{"tests/engine_test.go", "\t_ \"gitee.com/travelliu/dm\"\n", ""}, // drivers of others, which can't be had everywhere
		{"go.mod", "\tgitee.com/travelliu/dm v1.8.11192\n", ""},
	}},
}
