package session

import (
	"database/sql/driver"
	"slices"
	"strings"

	"hotswap/internal/sqltext"
)

// Statement is one that may have set something on its connection.
type Statement struct {
	sqltext.Statement
	Args []driver.NamedValue
	Key  string // of a pragma's setting; "" for an ATTACH or a DETACH
}

// Statements returns those in a text.
func Statements(query string, args []driver.NamedValue) (all []Statement) {
	for _, st := range sqltext.Statements(query) {
		key, pragma := pragmaKey(&st)
		if pragma || st.Tokens[0].Is("ATTACH") || st.Tokens[0].Is("DETACH") {
			all = append(all, Statement{st, argumentsOf(&st, args), key})
		}
	}
	return all
}

// argumentsOf returns the arguments of one statement of a text, as go-sqlite3
// distributes them: those at its positions, and all that have a name.
func argumentsOf(st *sqltext.Statement, args []driver.NamedValue) (mine []driver.NamedValue) {
	from := min(st.FirstParam, len(args))
	to := min(from+st.Params, len(args))
	mine = slices.Clone(args[from:to])
	for i, arg := range args {
		if arg.Name != "" && (i < from || i >= to) {
			mine = append(mine, arg)
		}
	}
	return mine
}

// pragmaKey returns the key of the setting that the statement makes, if it is a pragma
// that sets something of the connection rather than of the file: replaying another,
// such as user_version, would change the new database.
func pragmaKey(st *sqltext.Statement) (string, bool) {
	schema, name, value, ok := st.Pragma()
	if !ok || value == "" || !sqltext.SessionPragma(name) || sqltext.OnlyAsks(name, value) {
		return "", false
	}
	switch {
	case !sqltext.SchemaPragma(name):
		if schema != "" { // which may be detached, with the setting still there
			dot := slices.IndexFunc(st.Tokens, func(t sqltext.Token) bool { return t.IsOp(".") })
			st.Text = "PRAGMA " + st.Text[st.Tokens[dot+1].Pos-st.Tokens[0].Pos:]
		}
		schema = "main"
	case schema == "" && !sqltext.AllSchemasPragma(name):
		schema = "main"
	}
	return PragmaKey(schema, name), true
}

// sets returns the schema and the name of the pragma that the setting is; false if it
// is an ATTACH.
func (o *Setting) sets() (schema, name string, ok bool) {
	if _, attaches := o.Attaches(); attaches {
		return "", "", false
	}
	schema, name = SplitPragmaKey(o.Key)
	return schema, name, true
}

// PragmaKey returns the key of a pragma's setting, or of all schemas' if schema is "".
func PragmaKey(schema, name string) string { return "pragma " + schema + "." + name }

// SplitPragmaKey returns the schema and the name in the key of a pragma's setting.
func SplitPragmaKey(key string) (schema, name string) {
	key = strings.TrimPrefix(key, "pragma ")
	i := strings.LastIndexByte(key, '.')
	return key[:i], key[i+1:]
}
