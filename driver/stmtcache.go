package driver

import (
	"database/sql/driver"
	"hash/maphash"
	"slices"
	"sync"
	"unique"

	"hotswap/internal/dsn"
	"hotswap/internal/sqltext"
)

// stmtCache keeps the statements of recent calls prepared, the latest last. It replaces
// go-sqlite3's own cache, which hides its statements: we must be able to finalize those
// that are open.
//
// A text is kept from its second use on, on whichever connection of the database the first
// was: otherwise a program that puts its values into the text would pay for statements that
// never recur. What SQLite compiles belongs to one connection; the texts are shared by all.
type stmtCache struct {
	stmts []*stmt
	size  int
	bytes int // of SQLite's memory for stmts
	puts  int
	taken *stmt        // the latest that was taken out, whether or not it is back
	seen  *recentTexts // of the database
	// altered is what Database.altered was when stmts was empty last. A statement whose schema
	// has changed fails to be compiled anew only once it has SQLite's lock, and is rolled back
	// first, which hooks see.
	altered uint64
	// altering is set while a transaction is open that may have changed a schema.
	altering bool
}

// maxKept bounds the memory of the statements that a connection keeps: for so many bytes
// each, on average, if their number is the default or more.
const maxKept = 16 << 10

func (sc *stmtCache) room() int { return max(sc.size, dsn.DefaultCacheSize) * maxKept }

// measureAgain is of how many statements that are put back one is measured again, since
// SQLite compiles them anew when the schema has changed. It is prime, so that each has its
// turn where several are run in turn.
const measureAgain = 61

// recentTexts remembers hashes of the latest texts that were not found in the cache of the
// connection that they were for.
type recentTexts struct {
	mu     sync.Mutex // guards what follows; a leaf
	hashes []uint64
	next   int // the place in hashes of the next, once there are mostHashes
}

const mostHashes = 128

// maxBound bounds the bytes of the arguments that a kept statement is run with, since
// SQLite keeps its copies of them for as long: next to 64 KiB of those, compiling is
// cheap.
const maxBound = 64 << 10

func size(args []driver.NamedValue) (sum int) {
	for i := range args {
		switch v := args[i].Value.(type) {
		case string:
			sum += len(v)
		case []byte:
			sum += len(v)
		}
	}
	return sum
}

// maxCachedText bounds the texts that are kept, in bytes.
const maxCachedText = 16 << 10

var hashSeed = maphash.MakeSeed()

// seenBefore reports whether the text was seen before, as far as is remembered: a ring,
// since in a hash table two texts of one place that are run in turn would forget each
// other for ever.
func (r *recentTexts) seenBefore(query string) bool {
	h := maphash.String(hashSeed, query)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case slices.Contains(r.hashes, h):
		return true
	case len(r.hashes) < mostHashes:
		r.hashes = append(r.hashes, h)
	default:
		r.hashes[r.next] = h
		r.next = (r.next + 1) % mostHashes
	}
	return false
}

// keeps reports whether what a text means on c changes with the schemas that it uses alone,
// for which SQLite compiles a statement anew. With attached files it does not: a name that
// was found in one of them is another's once main has it. The program's own code may change
// it, too: its authorizer is asked only when a statement is compiled
// (https://www.sqlite.org/c3ref/set_authorizer.html). Where there may be such code the name
// of the database has to ask for statements to be kept. The caller owns c.
func (c *conn) keeps() bool {
	return !c.session.Attached && len(c.hooked) == 0 && (c.dsn.CacheAsked || !c.extended())
}

// cachedStmt returns a statement for query, cached or new, which the caller must put
// back. It returns nil for texts that are not worth keeping or not known to be a single
// statement, and where go-sqlite3 has to handle the arguments itself; go-sqlite3 then
// runs the text. For exec, only a write without RETURNING will do, and none with PRAGMA
// count_changes: go-sqlite3 leaves a statement that returned a row open.
func (c *conn) cachedStmt(query string, args []driver.NamedValue, exec bool) *stmt {
	bound := size(args)
	if c.cache.size == 0 || bound > maxBound {
		return nil
	}
	if !c.keeps() {
		c.cache.close()
		return nil
	}
	if c.db != nil && c.cache.altered != c.db.altered.Load() {
		c.cache.altered = c.db.altered.Load()
		c.cache.close()
	}
	if c.rows != nil && c.inner.AutoCommit() {
		// A statement that a schema change has invalidated would, beside the statement
		// of these rows, fail without releasing its lock.
		return nil
	}
	s := c.cache.take(query)
	if s == nil {
		if len(query) > maxCachedText || !c.cache.seen.seenBefore(query) {
			return nil
		}
		class := sqltext.Classify(query)
		if !class.Repeats() || exec && !execs(class) {
			return nil
		}
		inner, err := c.compile(query)
		if err != nil {
			return nil // go-sqlite3 says why
		}
		shared := unique.Make(query)
		s = &stmt{conn: c, query: shared.Value(), shared: shared, class: class}
		s.setInner(inner)
		s.numInput = s.inner.NumInput()
	}
	if s.numInput != len(args) || exec && (!execs(s.class) || c.session.CountChanges) {
		c.cache.put(s, true)
		return nil
	}
	if more := bound - s.bound; more > 0 {
		s.bound += more
		if s.bytes > 0 { // else it is measured first
			s.bytes += more
		}
	}
	c.cache.taken = s
	return s
}

// compile compiles a text that go-sqlite3 compiles once more if this fails: so it does not
// wait for a lock, which it may need to read the schema. The caller owns c.
func (c *conn) compile(query string) (driver.Stmt, error) {
	if i := &c.cancel.interrupter; i.known && !c.extended() {
		defer i.setBusyTimeout(c.busyTimeout())
		i.setBusyTimeout(0)
	}
	return c.inner.Prepare(query)
}

// alters takes down that a text was run that may have changed a schema: main's, or temp's,
// which is c's alone.
func (c *conn) alters(temp bool) {
	if c.db != nil && !temp {
		c.db.altered.Add(1)
		c.cache.altering = c.inTransaction()
	}
	c.cache.close()
}

// endAltering takes down that others see what a transaction has changed.
func (c *conn) endAltering() {
	if c.cache.altering {
		c.cache.altering = false
		c.db.altered.Add(1)
	}
}

// execs reports whether Exec may use a kept statement: a write that returns no rows.
func execs(class sqltext.Class) bool {
	return class.First&(sqltext.Changes|sqltext.Returns) == sqltext.Changes
}

func (sc *stmtCache) take(query string) *stmt {
	for i := len(sc.stmts) - 1; i >= 0; i-- {
		if s := sc.stmts[i]; s.query == query {
			copy(sc.stmts[i:], sc.stmts[i+1:])
			sc.stmts = sc.stmts[:len(sc.stmts)-1]
			sc.bytes -= s.bytes
			return s
		}
	}
	return nil
}

// find returns the statement of a text, where it stays; nil for none.
func (sc *stmtCache) find(query string) *stmt {
	if i := slices.IndexFunc(sc.stmts, func(s *stmt) bool { return s.query == query }); i >= 0 {
		return sc.stmts[i]
	}
	return nil
}

// put gives s back; a statement that failed is finalized rather than kept, and so is one that
// would take all of the room.
func (sc *stmtCache) put(s *stmt, keep bool) {
	if !keep || s.inner == nil {
		s.closeInner()
		return
	}
	if sc.puts++; s.bytes == 0 || sc.puts%measureAgain == 0 {
		s.bytes = s.memory() + s.bound // SQLite's count may lack these
	}
	if s.bytes > sc.room() {
		s.closeInner()
		return
	}
	sc.bytes += s.bytes
	for n := len(sc.stmts); n > 0 && (n == sc.size || sc.bytes > sc.room()); n = len(sc.stmts) {
		oldest := sc.stmts[0]
		oldest.closeInner()
		sc.bytes -= oldest.bytes
		copy(sc.stmts, sc.stmts[1:])
		sc.stmts = sc.stmts[:n-1]
	}
	sc.stmts = append(sc.stmts, s)
}

func (sc *stmtCache) close() {
	for _, s := range sc.stmts {
		s.closeInner()
	}
	clear(sc.stmts)
	sc.stmts, sc.bytes = sc.stmts[:0], 0
}
