package driver

import (
	"database/sql/driver"
	"fmt"
	"strings"

	"hotswap/internal/session"
	"hotswap/internal/sqltext"
)

// recordSession records what a call set on its connection, and whether that is now in a
// transaction, as it was before if in. The caller owns c.
func (c *conn) recordSession(query string, args []driver.NamedValue, in bool, err error) {
	does := sqltext.Classify(query).All
	if does&sqltext.Alters != 0 {
		c.alters(does&sqltext.MakesTemp != 0)
	}
	if c.isForced(err) {
		// SQLite may have rolled back the transaction that there was. conclude is to find
		// that it is lost.
		c.raw = c.raw || in
		c.recordCurrent(query, args)
		return
	}
	if c.raw = c.inTransaction(); !c.raw {
		c.endAltering()
	}
	c.doubtPlace()
	if does&(sqltext.Begins|sqltext.Savepoint) != 0 {
		c.noteSavepoints(query, in, err)
	}
	if err != nil {
		c.recordCurrent(query, args)
		return
	}
	if does&sqltext.MakesTemp != 0 {
		c.session.Temp = true
	}
	if does&(sqltext.Sets|sqltext.Attaches) == 0 {
		return
	}
	c.cache.close() // SQLite itself does it for a pragma that runs, not for one under EXPLAIN
	var there []session.Schema
	if does&sqltext.Attaches != 0 {
		there = c.noteAttached()
	}
	for _, t := range session.Statements(query, args) {
		switch {
		case t.Key == "":
			c.recordAttachment(&t, there, true)
		case strings.HasSuffix(t.Key, ".foreign_keys"), strings.HasSuffix(t.Key, ".journal_mode"), t.Tokens[0].Is("EXPLAIN"):
			c.recordPragma(t.Key) // no effect within a transaction, or under EXPLAIN
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

// recordCurrent records the current values of what a text may have set: one that
// failed, maybe in its second statement, or that was only prepared, with a pragma that
// acts when it is compiled (https://www.sqlite.org/pragma.html). The caller owns c.
func (c *conn) recordCurrent(query string, args []driver.NamedValue) {
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
	c.cache.close()
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

// recordAttachment records an ATTACH or a DETACH; with anew it replaces what is
// recorded of an attached schema of that name.
func (c *conn) recordAttachment(t *session.Statement, there []session.Schema, anew bool) {
	a := session.NewAttachment(t)
	name, ok := a.Schema(c.inner)
	if a.Detaches() {
		if anew && ok {
			spills := c.session.Has(session.PragmaKey(sqltext.Lower(name), "cache_spill"))
			c.session.Forget(name)
			if spills {
				c.recordSpilling()
			}
		}
		return
	}
	made, found := session.Find(there, name)
	if !ok { // its name is unknown: it is the latest one that is not recorded
		for _, s := range there {
			if !c.session.Has(session.AttachKey(s.Name)) {
				made, found = s, true
			}
		}
	}
	if found && (anew || !c.session.Has(session.AttachKey(made.Name))) {
		c.session.Set(a.Setting(c.inner, made))
		for _, name := range sqltext.InheritedPragmas() {
			if c.session.HasPragma(name) {
				c.recordPragma(session.PragmaKey(sqltext.Lower(made.Name), name))
			}
		}
	}
}

// recordPragma records the current value of a pragma, if it returns one; of each schema,
// if the key names none.
func (c *conn) recordPragma(key string) {
	schema, name := session.SplitPragmaKey(key)
	if schema == "" {
		c.recordPragma(session.PragmaKey("main", name))
		for _, s := range session.Schemas(c.inner) {
			c.recordPragma(session.PragmaKey(sqltext.Lower(s.Name), name))
		}
		return
	}
	pragma := session.Quote(schema) + "." + name
	value, ok := session.Pragma(c.inner, pragma)
	if name == "case_sensitive_like" {
		value, ok = session.CaseSensitiveLike(c.inner)
	}
	if !ok {
		return
	}
	if name == "journal_mode" && (value == "wal" || value == "delete") {
		c.session.Remove(key) // a property of the file, which the swap keeps
		return
	}
	if name == "secure_delete" && value == int64(2) {
		value = "fast" // as a number it would be taken for true
	}
	text := fmt.Sprintf("PRAGMA %s = %v", pragma, value)
	c.setPragma(session.Setting{Key: key, What: text, Query: text})
}

// recordSpilling records whether caches spill, which cache_spill sets for all schemas
// beside the size of its own.
func (c *conn) recordSpilling() {
	text := "PRAGMA cache_spill = on"
	if value, _ := session.Pragma(c.inner, "main.cache_spill"); value == int64(0) {
		text = "PRAGMA cache_spill = off"
	}
	c.session.Set(session.Setting{Key: session.PragmaKey("", "cache_spill"), What: text, Query: text})
}

// deferral is the key of a setting that SQLite ends itself, with the next transaction
// (https://www.sqlite.org/pragma.html#pragma_defer_foreign_keys).
const deferral = "pragma main.defer_foreign_keys"

// recordDeferForeignKeys records what has become of that setting, right before c is closed. The caller owns
// c.
func (c *conn) recordDeferForeignKeys() {
	if c.inner != nil && c.session.Has(deferral) {
		c.recordPragma(deferral)
		c.publish()
	}
}

// setPragma records a pragma. The first time for a schema that neither SQL text nor the
// connect hook attached, it warns that the pragma can't be replayed.
func (c *conn) setPragma(o session.Setting) {
	schema, name := session.SplitPragmaKey(o.Key)
	if schema == "" {
		c.session.RemovePragma(name)
	} else if schema != "main" && schema != "temp" && c.db != nil && !c.session.Has(o.Key) && !c.session.Has(session.AttachKey(schema)) {
		if _, hooked := session.Find(c.hooked, schema); !hooked {
			c.db.watch.warn(c.db.Path()).Str(fieldQuery, o.What).Str("schema", schema).
				Msg("this setting can't be replayed when a swap reopens the connection: its schema was attached through driver.Raw, and will be lost; attach it by SQL text or in a connect hook")
		}
	}
	c.session.Set(o)
}

// publish copies the settings for goroutines that do not own c.
func (c *conn) publish() {
	settings := c.session.Settings()
	c.published.Store(&settings)
}
