package driver

import "weak"

// A stand-in is in conn.rows in the place of rows that the program has. It has what is
// needed to end those, and does not keep them from the garbage collector: once that has
// found them it stands for none. Rows with a stand-in have themselves for prev, and the
// stand-in for next.

// standIn puts a stand-in for r into its place, unless r is one, and returns what is there
// now. The caller owns c.
func (c *conn) standIn(r *rows) *rows {
	if r.isStandIn() {
		return r
	}
	s := &rows{conn: c, inner: r.inner, stmt: r.stmt, query: r.query, attaches: r.attaches, user: weak.Make(r)}
	c.replaceRows(r, s)
	r.prev, r.next = r, s
	return s
}

func (r *rows) isStandIn() bool { return r.user != weak.Pointer[rows]{} }

// leaked reports whether r stands for rows that the garbage collector has found.
func (r *rows) leaked() bool { return r.isStandIn() && r.user.Value() == nil }

// restored puts the rows that r stands for into its place, and returns what is there now.
// The caller owns c, or is its user and holds mu.
func (c *conn) restored(r *rows) *rows {
	user := r.user.Value()
	if user == nil {
		return r
	}
	c.replaceRows(r, user)
	return user
}

func (c *conn) replaceRows(old, r *rows) {
	r.prev, r.next = old.prev, old.next
	if r.prev != nil {
		r.prev.next = r
	} else {
		c.rows = r
	}
	if r.next != nil {
		r.next.prev = r
	}
}

// listed returns what is in conn.rows for r.
func (r *rows) listed() *rows {
	if r != nil && r.prev == r {
		return r.next
	}
	return r
}
