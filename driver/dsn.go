package driver

import (
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotswap/internal/dbpath"
)

// dsn is a data source name, read the way go-sqlite3 and SQLite read it
// (https://www.sqlite.org/uri.html). Nothing here is an error: what is wrong
// with a name, go-sqlite3 says when it opens it.
type dsn struct {
	raw  string // of a managed database, with its real path
	path string // the real path; "" if there is no file to manage
	name string // the absolute path as it was given, symlinks and all
	uri  bool   // the name is a file: URI
	tail string // what follows the path: the fragment and the parameters
	// unresolved is set if there is a file to manage, and no telling yet where:
	// its directory does not exist.
	unresolved bool
	cacheSize  int    // _stmt_cache_size
	begin      string // what _txlock makes of BEGIN
	// busyTimeout is _busy_timeout, 5 s by default.
	busyTimeout time.Duration
	noMutex     bool // _mutex=no
	setsJournal bool // _journal_mode
	shared      bool // cache=shared
	unlocked    bool // immutable or nolock
}

// forSQLite is the name for go-sqlite3. Its own cache of statements stays off:
// ours stands in for it, and that one loses the error of a write that fails when
// its Rows are closed. A size that is wrong is left for go-sqlite3 to say so.
func (d *dsn) forSQLite() string {
	i := strings.IndexByte(d.raw, '?')
	if i < 1 {
		return d.raw
	}
	params := slices.DeleteFunc(strings.Split(d.raw[i+1:], "&"), func(param string) bool {
		size, ok := strings.CutPrefix(param, "_stmt_cache_size=")
		n, err := strconv.Atoi(size)
		return ok && err == nil && n >= 0
	})
	return d.raw[:i+1] + strings.Join(params, "&")
}

func parseDSN(name string) *dsn {
	d := &dsn{raw: name, cacheSize: defaultStmtCacheSize, begin: "BEGIN", busyTimeout: 5 * time.Second}
	base, query, hasQuery := name, "", false
	if i := strings.IndexByte(name, '?'); i >= 1 {
		base, query, hasQuery = name[:i], name[i+1:], true
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return d
	}
	if n, err := strconv.Atoi(params.Get("_stmt_cache_size")); err == nil && n >= 0 {
		d.cacheSize = n
	}
	for _, key := range []string{"_busy_timeout", "_timeout"} {
		if n, err := strconv.Atoi(params.Get(key)); err == nil {
			d.busyTimeout = time.Duration(max(n, 0)) * time.Millisecond
		}
	}
	switch strings.ToLower(params.Get("_txlock")) {
	case "immediate":
		d.begin = "BEGIN IMMEDIATE"
	case "exclusive":
		d.begin = "BEGIN EXCLUSIVE"
	}
	d.setsJournal = params.Get("_journal") != "" || params.Get("_journal_mode") != ""
	d.noMutex = strings.EqualFold(params.Get("_mutex"), "no")
	if vfs := params.Get("vfs"); vfs != "" && vfs != "unix" {
		return d
	}

	uri, isURI := strings.CutPrefix(base, "file:")
	file := base
	if isURI {
		if params.Get("mode") == "memory" {
			return d
		}
		if file, err = pathOfURI(uri); err != nil {
			return d
		}
	}
	if file == "" || file == ":memory:" || strings.IndexByte(file, 0) >= 0 {
		return d
	}
	real, err := dbpath.Real(file)
	if err != nil {
		d.unresolved = true
		return d
	}
	if !isURI && strings.IndexByte(real, '?') >= 0 {
		return d // only reached through a symlink; a plain name can't say it
	}
	if d.name, err = filepath.Abs(file); err != nil || strings.Contains(file, "..") {
		d.name = real // what ".." behind a symlink is the name alone does not tell
	}
	d.uri = isURI
	d.shared = isURI && params.Get("cache") == "shared"
	d.unlocked = isURI && (isTrue(params.Get("immutable")) || isTrue(params.Get("nolock")))
	if _, fragment, ok := strings.Cut(base, "#"); ok && isURI {
		d.tail = "#" + fragment
	}
	if hasQuery {
		d.tail += "?" + query
	}
	return d.at(real)
}

// isTrue reads a parameter as sqlite3_uri_boolean does.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "on", "yes", "true", "full", "extra":
		return true
	}
	n, _ := strconv.Atoi(value)
	return n != 0
}

// at is the name of the same database by another real path. go-sqlite3 gets the
// real path, so that a chdir or a turned symlink can't lead one connection to
// another file than the rest.
func (d *dsn) at(real string) *dsn {
	at := *d
	at.path, at.raw = real, real+d.tail
	if d.uri {
		at.raw = "file:" + dbpath.Escape(real) + d.tail
	}
	return &at
}

// pathOfURI returns the path of a file: URI, which is given without its scheme and its
// query (https://www.sqlite.org/uri.html).
func pathOfURI(uri string) (path string, err error) {
	uri, _, _ = strings.Cut(uri, "#")
	if rest, ok := strings.CutPrefix(uri, "//"); ok {
		host, p, _ := strings.Cut(rest, "/")
		if host != "" && host != "localhost" {
			return "", errors.New("a file: URI of another host")
		}
		uri = "/" + p
	}
	return url.PathUnescape(uri)
}
