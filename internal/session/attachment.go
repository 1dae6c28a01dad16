package session

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/dsn"
	"hotswap/internal/sqltext"
)

// Attachment is a parsed ATTACH or DETACH.
type Attachment struct {
	st *Statement
	// file, schema and key are expressions. A DETACH has no file, and few have a key.
	file, schema, key []sqltext.Token
}

// NewAttachment parses an ATTACH or DETACH.
func NewAttachment(st *Statement) *Attachment {
	a := &Attachment{st: st}
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

// value returns what an expression evaluates to: a name, a string, a parameter, or what
// SQLite makes of it.
func (a *Attachment) value(inner *sqlite3.SQLiteConn, expr []sqltext.Token) (string, bool) {
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
	// Its parameters are numbered differently here than in the statement.
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
	rows, err := inner.QueryContext(context.Background(), "SELECT"+b.String(), args)
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

func (a *Attachment) argument(t sqltext.Token) driver.Value {
	number := a.st.Number(t)
	for i, arg := range a.st.Args {
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

// Detaches reports whether it is a DETACH.
func (a *Attachment) Detaches() bool { return len(a.file) == 0 }

// Schema returns the name of the schema, if it can be determined.
func (a *Attachment) Schema(inner *sqlite3.SQLiteConn) (name string, ok bool) {
	return a.value(inner, a.schema)
}

// Setting returns the ATTACH as it is replayed: with an absolute path, so that a chdir
// can't lead it to another file, and with the other parts of the URI. made is the
// schema that the ATTACH has made.
func (a *Attachment) Setting(inner *sqlite3.SQLiteConn, made Schema) Setting {
	name, ok := a.value(inner, a.file)
	o := Setting{
		Key:   AttachKey(made.Name),
		What:  fmt.Sprintf("ATTACH %s AS %s", made.File, made.Name),
		Query: "ATTACH ? AS ?",
		File:  made.File,
	}
	uri, isURI := strings.CutPrefix(name, "file:")
	if ok && made.File != "" {
		o.link = linkTo(made.File, uri, isURI)
	}
	switch {
	case made.File == "":
		o.What = fmt.Sprintf("ATTACH AS %s", made.Name)
		if !ok {
			name = ""
		}
	case ok && isURI:
		query := ""
		if uri, _, _ := strings.Cut(uri, "#"); strings.Contains(uri, "?") {
			_, query, _ = strings.Cut(uri, "?")
		}
		if params, err := url.ParseQuery(query); err == nil && !isUnix(params.Get("vfs")) {
			o.File = "" // such a VFS has paths of its own
			break
		}
		name = dbpath.URI(made.File)
		if query != "" {
			name += "?" + query
		}
	default:
		name = made.File
	}
	o.Args = []driver.NamedValue{{Ordinal: 1, Value: name}, {Ordinal: 2, Value: made.Name}}
	if key, ok := a.value(inner, a.key); ok {
		o.Query += " KEY ?"
		o.Args = append(o.Args, driver.NamedValue{Ordinal: 3, Value: key})
	}
	return o
}

// linkTo returns the name by which an ATTACH reached file, if that has symlinks in it.
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

// isUnix reports whether this VFS has the system's own files.
func isUnix(vfs string) bool { return vfs == "" || vfs == "unix" || strings.HasPrefix(vfs, "unix-") }
