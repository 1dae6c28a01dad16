package driver

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"hotswap/internal/sqltext"
)

// recordSession notes what a call told its connection, and whether it is in a
// transaction now. The caller owns c.
func (c *conn) recordSession(query string, args []driver.NamedValue, err error) {
	c.raw = c.inTransaction()
	if err != nil {
		c.recordWhatHolds(query, args)
		return
	}
	does := sqltext.Classify(query).All
	if does&sqltext.MakesTemp != 0 {
		c.session.temp = true
	}
	if does&(sqltext.Sets|sqltext.Attaches) == 0 {
		return
	}
	var there []schema
	if does&sqltext.Attaches != 0 {
		c.noteAttached()
		there = schemas(c.inner)
	}
	for _, t := range tellings(query, args) {
		switch {
		case t.key == "":
			c.recordAttachment(&t, there, true)
		case strings.HasSuffix(t.key, ".foreign_keys"), strings.HasSuffix(t.key, ".journal_mode"), t.st.Tokens[0].Is("EXPLAIN"):
			c.recordPragma(t.key) // it does nothing within a transaction, or as it is explained
		default:
			c.session.countChanges = c.session.countChanges || strings.HasSuffix(t.key, ".count_changes")
			c.setPragma(setting{key: t.key, what: t.st.Text, query: t.st.Text, args: t.args})
		}
	}
	if does&sqltext.Attaches != 0 {
		c.session.keepAttached(there)
	}
	c.publish()
}

// recordWhatHolds notes what holds now of that which a text may have told its
// connection: one that failed, maybe in its second statement, or that was only
// prepared, with a pragma that acts when it is compiled
// (https://www.sqlite.org/pragma.html). The caller owns c.
func (c *conn) recordWhatHolds(query string, args []driver.NamedValue) {
	does := sqltext.Classify(query).All
	if does&sqltext.MakesTemp != 0 {
		c.session.temp = true
	}
	if does&(sqltext.Sets|sqltext.Attaches) == 0 {
		return // BEGIN, say
	}
	all := tellings(query, args)
	if len(all) == 0 {
		return
	}
	c.cache.close() // running a pragma has its statements compiled anew, compiling it does not
	var there []schema
	if does&sqltext.Attaches != 0 {
		c.noteAttached()
		there = schemas(c.inner)
		c.session.keepAttached(there)
	}
	for _, t := range all {
		if t.key != "" {
			c.session.countChanges = c.session.countChanges || strings.HasSuffix(t.key, ".count_changes")
			c.recordPragma(t.key)
		} else {
			c.recordAttachment(&t, there, false)
		}
	}
	c.publish()
}

// recordAttachment notes an ATTACH or a DETACH; anew if it replaces what is known of
// an attached schema of that name.
func (c *conn) recordAttachment(t *telling, there []schema, anew bool) {
	a := newAttachment(&t.st, t.args)
	name, ok := a.value(c.inner, a.schema)
	if len(a.file) == 0 {
		if anew && ok {
			c.session.forget(name)
		}
		return
	}
	made, found := find(there, name)
	if !ok { // there is no telling its name: it is the latest one that is not known
		for _, s := range there {
			if !c.session.has(attachKey(s.name)) {
				made, found = s, true
			}
		}
	}
	if found && (anew || !c.session.has(attachKey(made.name))) {
		c.session.set(a.setting(c.inner, made))
	}
}

// recordPragma notes the value that a pragma has now, if it tells one.
func (c *conn) recordPragma(key string) {
	schema, name := ofPragma(key)
	pragma := fmt.Sprintf(`PRAGMA "%s".%s`, strings.ReplaceAll(schema, `"`, `""`), name)
	rows, err := c.inner.Query(pragma, nil)
	if err != nil {
		return
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if rows.Next(row) != nil {
		return
	}
	if name == "journal_mode" && (row[0] == "wal" || row[0] == "delete") {
		c.session.remove(key) // of the file, and the swap keeps it
		return
	}
	text := fmt.Sprintf("%s = %v", pragma, row[0])
	c.setPragma(setting{key: key, what: text, query: text})
}

// setPragma notes a pragma. Of a schema that neither a text nor the connect hook
// attached it says, the first time, that it can't be replayed.
func (c *conn) setPragma(o setting) {
	schema, _ := ofPragma(o.key)
	if schema != "main" && schema != "temp" && c.db != nil && !c.session.has(o.key) && !c.session.has(attachKey(schema)) {
		if _, hooked := find(c.hooked, schema); !hooked {
			c.db.watch.warn(c.db.Path()).Str(fieldQuery, o.what).Str("schema", schema).
				Msg("a connection was told what it can't be told again when a swap reopens it: the schema was attached through driver.Raw, and is lost then; attach it by SQL text or in a connect hook")
		}
	}
	c.session.set(o)
}

// publish tells those who want to know it of a connection that they don't own.
func (c *conn) publish() {
	settings := slices.Clone(c.session.settings)
	c.told.Store(&settings)
}
