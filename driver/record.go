package driver

import (
	"database/sql/driver"
	"fmt"
	"strings"

	"hotswap/internal/session"
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
		c.session.Temp = true
	}
	if does&(sqltext.Sets|sqltext.Attaches) == 0 {
		return
	}
	var there []session.Schema
	if does&sqltext.Attaches != 0 {
		there = c.noteAttached()
	}
	for _, t := range session.Statements(query, args) {
		switch {
		case t.Key == "":
			c.recordAttachment(&t, there, true)
		case strings.HasSuffix(t.Key, ".foreign_keys"), strings.HasSuffix(t.Key, ".journal_mode"), t.Tokens[0].Is("EXPLAIN"):
			c.recordPragma(t.Key) // it does nothing within a transaction, or as it is explained
		default:
			c.session.CountChanges = c.session.CountChanges || strings.HasSuffix(t.Key, ".count_changes")
			c.setPragma(session.Setting{Key: t.Key, What: t.Text, Query: t.Text, Args: t.Args})
		}
	}
	if does&sqltext.Attaches != 0 {
		c.session.KeepAttached(there)
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
		c.session.Temp = true
	}
	if does&(sqltext.Sets|sqltext.Attaches) == 0 {
		return // BEGIN, say
	}
	all := session.Statements(query, args)
	if len(all) == 0 {
		return
	}
	c.cache.close() // running a pragma has its statements compiled anew, compiling it does not
	var there []session.Schema
	if does&sqltext.Attaches != 0 {
		there = c.noteAttached()
		c.session.KeepAttached(there)
	}
	for _, t := range all {
		if t.Key != "" {
			c.session.CountChanges = c.session.CountChanges || strings.HasSuffix(t.Key, ".count_changes")
			c.recordPragma(t.Key)
		} else {
			c.recordAttachment(&t, there, false)
		}
	}
	c.publish()
}

// recordAttachment notes an ATTACH or a DETACH; anew if it replaces what is known of
// an attached schema of that name.
func (c *conn) recordAttachment(t *session.Statement, there []session.Schema, anew bool) {
	a := session.NewAttachment(t)
	name, ok := a.Schema(c.inner)
	if a.Detaches() {
		if anew && ok {
			c.session.Forget(name)
		}
		return
	}
	made, found := session.Find(there, name)
	if !ok { // there is no telling its name: it is the latest one that is not known
		for _, s := range there {
			if !c.session.Has(session.AttachKey(s.Name)) {
				made, found = s, true
			}
		}
	}
	if found && (anew || !c.session.Has(session.AttachKey(made.Name))) {
		c.session.Set(a.Setting(c.inner, made))
	}
}

// recordPragma notes the value that a pragma has now, if it tells one.
func (c *conn) recordPragma(key string) {
	schema, name := session.SplitPragmaKey(key)
	pragma := session.Quote(schema) + "." + name
	value, ok := session.Pragma(c.inner, pragma)
	if !ok {
		return
	}
	if name == "journal_mode" && (value == "wal" || value == "delete") {
		c.session.Remove(key) // of the file, and the swap keeps it
		return
	}
	text := fmt.Sprintf("PRAGMA %s = %v", pragma, value)
	c.setPragma(session.Setting{Key: key, What: text, Query: text})
}

// setPragma notes a pragma. Of a schema that neither a text nor the connect hook
// attached it says, the first time, that it can't be replayed.
func (c *conn) setPragma(o session.Setting) {
	schema, _ := session.SplitPragmaKey(o.Key)
	if schema != "main" && schema != "temp" && c.db != nil && !c.session.Has(o.Key) && !c.session.Has(session.AttachKey(schema)) {
		if _, hooked := session.Find(c.hooked, schema); !hooked {
			c.db.watch.warn(c.db.Path()).Str(fieldQuery, o.What).Str("schema", schema).
				Msg("this setting can't be replayed when a swap reopens the connection: its schema was attached through driver.Raw, and will be lost; attach it by SQL text or in a connect hook")
		}
	}
	c.session.Set(o)
}

// publish tells those who want to know it of a connection that they don't own.
func (c *conn) publish() {
	settings := c.session.Settings()
	c.told.Store(&settings)
}
