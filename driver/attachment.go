package driver

import (
	"database/sql/driver"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/dsn"
	"hotswap/internal/sqltext"
)

// schema is an attached database of a connection.
type schema struct {
	name string
	file string // absolute; "" if it is in no file that has a name
}

// schemas lists what is attached to a connection, by whatever means.
func schemas(inner *sqlite3.SQLiteConn) (all []schema) {
	rows, err := inner.Query("PRAGMA database_list", nil)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for row := make([]driver.Value, 3); rows.Next(row) == nil; {
		name, _ := row[1].(string)
		file, _ := row[2].(string)
		if name != "main" && name != "temp" {
			all = append(all, schema{name, file})
		}
	}
	return all
}

// attachment is an ATTACH or a DETACH, taken apart.
type attachment struct {
	st   *sqltext.Statement
	args []driver.NamedValue
	// file, schema and key are expressions; file is missing of a DETACH, and key
	// most often.
	file, schema, key []sqltext.Token
}

func newAttachment(st *sqltext.Statement, args []driver.NamedValue) attachment {
	a := attachment{st: st, args: args}
	tokens := st.Tokens[1:]
	if len(tokens) > 1 && tokens[0].Is("DATABASE") {
		tokens = tokens[1:]
	}
	depth, part := 0, &a.file
	if st.Tokens[0].Is("DETACH") {
		part = &a.schema
	}
	for _, t := range tokens {
		switch {
		case t.IsOp("("):
			depth++
		case t.IsOp(")"):
			depth--
		case depth == 0 && t.Is("AS") && part == &a.file:
			part = &a.schema
			continue
		case depth == 0 && t.Is("KEY") && part == &a.schema && len(a.schema) > 0:
			part = &a.key
			continue
		}
		*part = append(*part, t)
	}
	return a
}

// value returns what an expression comes to: a name, a string, a parameter, or
// what SQLite makes of it.
func (a *attachment) value(inner *sqlite3.SQLiteConn, expr []sqltext.Token) (string, bool) {
	if len(expr) == 1 {
		switch t := expr[0]; t.Kind {
		case sqltext.Word, sqltext.Quoted, sqltext.String:
			return t.Value(), true
		case sqltext.Param:
			return text(a.argument(t))
		}
	}
	if len(expr) == 0 {
		return "", false
	}
	// Its parameters are bound by other numbers than they have in the statement.
	var b strings.Builder
	var args []driver.NamedValue
	for _, t := range expr {
		if t.Kind == sqltext.Param {
			args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: a.argument(t)})
			b.WriteString(" ?")
		} else {
			b.WriteString(" " + t.Text)
		}
	}
	rows, err := inner.QueryContext(background, "SELECT"+b.String(), args)
	if err != nil {
		return "", false
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if rows.Next(row) != nil {
		return "", false
	}
	return text(row[0])
}

// argument returns what is bound to a parameter.
func (a *attachment) argument(t sqltext.Token) driver.Value {
	number := a.st.Number(t)
	for i, arg := range a.args {
		if arg.Name != "" && arg.Name == t.Text[1:] || arg.Name == "" && i+1 == number {
			return arg.Value
		}
	}
	return nil
}

func text(v driver.Value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return fmt.Sprint(v), true
}

// setting is the ATTACH as a reopened connection is told it: by an absolute path, so
// that a chdir can't lead it to another file, with what the URI says besides. The
// schema is what the ATTACH has made.
func (a *attachment) setting(inner *sqlite3.SQLiteConn, made schema) setting {
	name, ok := a.value(inner, a.file)
	o := setting{
		key:   attachKey(made.name),
		what:  fmt.Sprintf("ATTACH %s AS %s", made.file, made.name),
		query: "ATTACH ? AS ?",
		file:  made.file,
	}
	uri, isURI := strings.CutPrefix(name, "file:")
	if ok && made.file != "" {
		o.link = linkTo(made.file, uri, isURI)
	}
	switch {
	case made.file == "":
		o.what = fmt.Sprintf("ATTACH AS %s", made.name)
		if !ok {
			name = ""
		}
	case ok && isURI:
		query := ""
		if uri, _, _ := strings.Cut(uri, "#"); strings.Contains(uri, "?") {
			_, query, _ = strings.Cut(uri, "?")
		}
		if params, err := url.ParseQuery(query); err == nil && !isUnix(params.Get("vfs")) {
			o.file = "" // its paths are its own
			break
		}
		name = dbpath.URI(made.file)
		if query != "" {
			name += "?" + query
		}
	default:
		name = made.file
	}
	o.args = []driver.NamedValue{{Ordinal: 1, Value: name}, {Ordinal: 2, Value: made.name}}
	if key, ok := a.value(inner, a.key); ok {
		o.query += " KEY ?"
		o.args = append(o.args, driver.NamedValue{Ordinal: 3, Value: key})
	}
	return o
}

// linkTo returns the name by which an ATTACH has come to file, if symlinks are in it.
func linkTo(file, name string, isURI bool) string {
	if isURI {
		var err error
		name, _, _ = strings.Cut(name, "?")
		if name, err = dsn.PathOfURI(name); err != nil {
			return ""
		}
	}
	name, err := filepath.Abs(name)
	if err != nil || name == file {
		return ""
	}
	return name
}

// follow has an ATTACH lead to the managed database that its name leads to now, if a
// symlink in that was turned: the database has moved there.
func (o *setting) follow() {
	if o.link == "" {
		return
	}
	now, err := dbpath.Real(o.link)
	if err != nil || now == o.file {
		return
	}
	if _, ok := managed(now); !ok {
		return
	}
	name, _ := o.args[0].Value.(string)
	o.args = slices.Clone(o.args)
	if rest, isURI := strings.CutPrefix(name, dbpath.URI(o.file)); isURI {
		o.args[0].Value = dbpath.URI(now) + rest
	} else {
		o.args[0].Value = now
	}
	o.file = now
}

// isUnix reports whether files of this VFS are the system's own.
func isUnix(vfs string) bool { return vfs == "" || vfs == "unix" || strings.HasPrefix(vfs, "unix-") }

func attachKey(schema string) string { return "attach " + sqltext.Lower(schema) }

// find returns the schema of this name.
func find(all []schema, name string) (schema, bool) {
	i := slices.IndexFunc(all, func(s schema) bool { return sqltext.Lower(s.name) == sqltext.Lower(name) })
	if i < 0 {
		return schema{}, false
	}
	return all[i], true
}
